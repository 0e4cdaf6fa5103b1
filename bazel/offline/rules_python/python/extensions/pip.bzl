"""Stands in for rules_python's pip extension: one repository for each package of the lock, installed by its hashes."""

_BUILD = """
py_library(
    name = "pkg",
    srcs = glob(["site/**/*.py"], allow_empty = True),
    data = glob(["site/**/*"], exclude = ["site/**/*.py", "site/**/__pycache__/**"], allow_empty = True),
    imports = ["site"],
    visibility = ["//visibility:public"],
    deps = [%s],
)
"""

# What a wheel needs on this platform, as far as the lock has it: the same graph that the real extension makes.
_NEEDS = """
import glob, sys
from email.parser import HeaderParser
from pip._vendor.packaging.requirements import Requirement
for path in glob.glob("site/*.dist-info/METADATA"):
    for text in HeaderParser().parse(open(path, encoding="utf-8")).get_all("Requires-Dist") or []:
        need = Requirement(text)
        if need.marker is None or need.marker.evaluate({"extra": ""}):
            print(need.name.lower().replace("-", "_").replace(".", "_"))
"""

def _package_impl(rctx):
    rctx.file("requirement.txt", rctx.attr.requirement)
    command = [
        "python3.13", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile",
        "--only-binary=:all:", "--require-hashes", "--root-user-action=ignore", "--target", "site", "-r", "requirement.txt",
    ]
    for delay in ["1", "5", None]:
        result = rctx.execute(command, timeout = 600)
        if result.return_code == 0:
            break
        if delay == None:
            fail("pip cannot install %s: %s" % (rctx.attr.requirement, result.stderr))
        rctx.execute(["sleep", delay])
    rctx.file("needs.py", _NEEDS)
    result = rctx.execute(["python3.13", "needs.py"])
    if result.return_code != 0:
        fail("the metadata of %s cannot be read: %s" % (rctx.attr.requirement, result.stderr))
    needs = {n: None for n in result.stdout.split("\n") if n in rctx.attr.locked}.keys()
    rctx.file("BUILD.bazel", _BUILD % ", ".join(['"@%s_%s//:pkg"' % (rctx.attr.hub, n) for n in needs]))

_package = repository_rule(
    _package_impl,
    attrs = {"hub": attr.string(), "locked": attr.string_list(), "requirement": attr.string()},
)

def _hub_impl(rctx):
    rctx.file("BUILD.bazel", "")
    for name, label in rctx.attr.packages.items():
        rctx.file(name + "/BUILD.bazel", 'alias(name = "%s", actual = "%s", visibility = ["//visibility:public"])\n' % (name, label))

_hub = repository_rule(_hub_impl, attrs = {"packages": attr.string_dict()})

def _requirements(text):
    """Splits a lock with hashes into {normalised name: requirement with its hashes}."""
    found = {}
    for line in text.replace("\\\n", " ").split("\n"):
        line = line.strip()
        if line and not line.startswith("#") and not line.startswith("-"):
            name = line.split("==")[0].split("[")[0].strip().lower().replace("-", "_").replace(".", "_")
            found[name] = line
    return found

def _pip_impl(mctx):
    for module in mctx.modules:
        for tag in module.tags.parse:
            packages = {}
            requirements = _requirements(mctx.read(tag.requirements_lock))
            for name, requirement in requirements.items():
                _package(
                    name = tag.hub_name + "_" + name,
                    hub = tag.hub_name,
                    locked = requirements.keys(),
                    requirement = requirement,
                )
                packages[name] = "@%s_%s//:pkg" % (tag.hub_name, name)
            _hub(name = tag.hub_name, packages = packages)

_parse = tag_class(attrs = {"hub_name": attr.string(), "python_version": attr.string(), "requirements_lock": attr.label()})

pip = module_extension(_pip_impl, tag_classes = {"parse": _parse})

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
environment = {"extra": "", **({"platform_machine": sys.argv[1]} if sys.argv[1:] else {})}
for path in glob.glob("site/*.dist-info/METADATA"):
    for text in HeaderParser().parse(open(path, encoding="utf-8")).get_all("Requires-Dist") or []:
        need = Requirement(text)
        if need.marker is None or need.marker.evaluate(environment):
            print(need.name.lower().replace("-", "_").replace(".", "_"))
"""

# For which wheels can be had beside those of the build's own machine.
_OTHER_MACHINE = "aarch64"

_ALIAS = """
alias(
    name = "{name}",
    actual = select({{
        "@platforms//cpu:{machine}": "{other}",
        "//conditions:default": "{own}",
    }}),
    visibility = ["//visibility:public"],
)
"""

def _end(machine):
    return "_" + machine if machine else ""

def _package_impl(rctx):
    rctx.file("requirement.txt", rctx.attr.requirement)
    command = [
        "python3.13", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile",
        "--only-binary=:all:", "--require-hashes", "--root-user-action=ignore", "--target", "site", "-r", "requirement.txt",
    ]
    if rctx.attr.machine:
        # What pip takes on that machine itself: manylinux of glibc 2.17 up to that of the images.
        for tag in ["manylinux_2_%d" % minor for minor in range(41, 16, -1)] + ["manylinux2014"]:
            command += ["--platform", "%s_%s" % (tag, rctx.attr.machine)]
    for delay in ["1", "5", None]:
        result = rctx.execute(command, timeout = 600)
        if result.return_code == 0:
            break
        if delay == None:
            fail("pip cannot install %s: %s" % (rctx.attr.requirement, result.stderr))
        rctx.execute(["sleep", delay])
    rctx.file("needs.py", _NEEDS)
    result = rctx.execute(["python3.13", "needs.py"] + ([rctx.attr.machine] if rctx.attr.machine else []))
    if result.return_code != 0:
        fail("the metadata of %s cannot be read: %s" % (rctx.attr.requirement, result.stderr))
    needs = {n: None for n in result.stdout.split("\n") if n in rctx.attr.locked}.keys()
    rctx.file("BUILD.bazel", _BUILD % ", ".join(['"@%s_%s%s//:pkg"' % (rctx.attr.hub, n, _end(rctx.attr.machine)) for n in needs]))

_package = repository_rule(
    _package_impl,
    attrs = {
        "hub": attr.string(),
        "locked": attr.string_list(),
        "machine": attr.string(doc = "other than that of the build"),
        "requirement": attr.string(),
    },
)

def _hub_impl(rctx):
    rctx.file("BUILD.bazel", "")
    for name, repository in rctx.attr.packages.items():
        rctx.file(name + "/BUILD.bazel", _ALIAS.format(
            name = name,
            machine = _OTHER_MACHINE,
            other = "@%s%s//:pkg" % (repository, _end(_OTHER_MACHINE)),
            own = "@%s//:pkg" % repository,
        ))

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
                for machine in ["", _OTHER_MACHINE]:
                    _package(
                        name = tag.hub_name + "_" + name + _end(machine),
                        hub = tag.hub_name,
                        locked = requirements.keys(),
                        machine = machine,
                        requirement = requirement,
                    )
                packages[name] = "%s_%s" % (tag.hub_name, name)
            _hub(name = tag.hub_name, packages = packages)

_parse = tag_class(attrs = {"hub_name": attr.string(), "python_version": attr.string(), "requirements_lock": attr.label()})

pip = module_extension(_pip_impl, tag_classes = {"parse": _parse})

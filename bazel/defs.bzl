"""The rules that BUILD files load: the one place that knows which rule set stands behind them."""

load("@rules_python//python:defs.bzl", "py_binary", "py_library", "py_test")

_PYTHON_ROOT = "python"

def _import_root():
    """The path from the calling package up to the import root: //python, or the package itself outside of it."""
    parts = native.package_name().split("/")
    return "/".join([".."] * (len(parts) - 1)) or "." if parts[0] == _PYTHON_ROOT else "."

def python_files(name = "python_files"):
    """All Python files of a package, for lint and types; `//python:rooms.bzl` lists the packages."""
    native.filegroup(
        name = name,
        srcs = native.glob(["**/*.py"], allow_empty = True),
        visibility = ["//python:__pkg__"],
    )

def room(name, srcs, deps = [], data = [], visibility = None, testonly = False):
    """A folder of the package: one library, and its sources for lint and types.

    Args:
      name: named like the folder.
      srcs: every Python file that is not a test, sorted.
      deps: rooms and third-party packages (`@pypi//…`) that are imported.
      data: files that are read at run time.
      visibility: package groups of //python, by ring; private by default.
      testonly: true for the rooms of testing.
    """
    python_files()
    py_library(
        name = name,
        srcs = srcs,
        data = data,
        imports = [_import_root()],
        testonly = testonly,
        visibility = visibility if "//visibility:public" in (visibility or []) else (visibility or []) + ["//python:lint"],
        deps = deps + ["//python/amdgpu_dra:package"],
    )

def room_test(name, srcs, deps = [], data = [], size = "small", tags = [], env = {}, args = [], **kwargs):
    """One file of tests, run by pytest; its cases are counted from the log."""
    py_test(
        name = name,
        srcs = srcs + ["//bazel/testing:pytest_main.py"],
        args = ["$(rootpath %s)" % src for src in srcs] + args,
        data = data + ["//:pyproject.toml"],
        env = env,
        imports = [_import_root()],
        main = "//bazel/testing:pytest_main.py",
        size = size,
        tags = tags,
        deps = deps + ["@pypi//hypothesis", "@pypi//pytest"],
        visibility = ["//python:lint"],
        **kwargs
    )

def binary(name, srcs, main, deps = [], data = [], args = [], testonly = False, visibility = None, env = {}):
    """A program."""
    py_binary(
        name = name,
        srcs = srcs,
        args = args,
        data = data,
        env = env,
        imports = [_import_root()],
        main = main,
        testonly = testonly,
        visibility = visibility,
        deps = deps,
    )

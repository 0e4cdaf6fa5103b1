"""Stands in for @rules_python//python:pip.bzl: one command that renews a lock."""

def compile_pip_requirements(name, src, requirements_txt, extra_args = [], **kwargs):
    """Makes `NAME.update`, which writes `requirements_txt` anew from `src`, with hashes, by pip-tools."""
    native.py_binary(
        name = name + ".update",
        srcs = ["@rules_python//python:compile_requirements.py"],
        main = "@rules_python//python:compile_requirements.py",
        args = ["$(rootpath %s)" % src, "$(rootpath %s)" % requirements_txt] + extra_args,
        data = [src, requirements_txt],
        deps = ["@pypi//pip_tools"],
        tags = ["manual"],
        **kwargs
    )

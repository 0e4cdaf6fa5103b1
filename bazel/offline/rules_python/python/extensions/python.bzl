"""Stands in for rules_python's python extension: the toolchain is the private root's python3.13, so the tag changes nothing."""

_toolchain = tag_class(attrs = {"is_default": attr.bool(), "python_version": attr.string()})

def _python_impl(_mctx):
    pass

python = module_extension(_python_impl, tag_classes = {"toolchain": _toolchain})

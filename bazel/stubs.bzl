"""Python modules made from protocol files; never committed."""

load("@rules_python//python:defs.bzl", "py_library")

def python_stubs(name, srcs, protoc, visibility):
    """Messages, their types and services of `srcs`, importable by the path of each file below this package."""
    outs = [src.replace(".proto", end) for src in srcs for end in ["_pb2.py", "_pb2.pyi", "_pb2_grpc.py"]]
    native.genrule(
        name = name + ".generate",
        srcs = srcs,
        outs = outs,
        cmd = "$(execpath {protoc}) -I {package} --python_out=$(RULEDIR) --pyi_out=$(RULEDIR) --grpc_python_out=$(RULEDIR) $(SRCS)".format(
            package = native.package_name(),
            protoc = protoc,
        ),
        tools = [protoc],
    )
    py_library(
        name = name,
        srcs = [out for out in outs if out.endswith(".py")],
        data = [out for out in outs if out.endswith(".pyi")],
        imports = ["."],
        visibility = visibility,
        deps = ["@pypi//grpcio", "@pypi//protobuf"],
    )

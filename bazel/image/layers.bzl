"""Layers of an image as reproducible tars: same input, same bytes."""

load("//bazel:defs.bzl", "room_test")

def _debian_layer_impl(ctx):
    out = ctx.actions.declare_file(ctx.label.name + ".tar.gz")
    args = ctx.actions.args()
    args.add("debian" if ctx.attr.base else "files", out)
    args.add_all(ctx.files.debs)
    ctx.actions.run(
        outputs = [out],
        inputs = ctx.files.debs,
        executable = ctx.executable._tool,
        arguments = [args],
        mnemonic = "DebianLayer",
        progress_message = "Unpacking Debian packages into %{label}",
    )
    return DefaultInfo(files = depset([out]))

_TOOL = {"_tool": attr.label(default = "//bazel/image:layer", executable = True, cfg = "exec")}

debian_layer = rule(
    _debian_layer_impl,
    attrs = dict(
        _TOOL,
        base = attr.bool(default = True, doc = "with what every container needs: users, certificates, folders"),
        debs = attr.label_list(allow_files = [".deb"]),
    ),
)

def _debian_file_impl(ctx):
    out = ctx.actions.declare_file(ctx.attr.file.split("/")[-1])
    args = ctx.actions.args()
    args.add("file", out)
    args.add(ctx.attr.file)
    args.add_all(ctx.files.debs)
    ctx.actions.run(
        outputs = [out],
        inputs = ctx.files.debs,
        executable = ctx.executable._tool,
        arguments = [args],
        mnemonic = "DebianFile",
    )
    return DefaultInfo(files = depset([out]), runfiles = ctx.runfiles([out]))

# One file of a Debian package, named by the end of its path: a library that is loaded at run time, or a program.
debian_file = rule(
    _debian_file_impl,
    attrs = dict(_TOOL, debs = attr.label_list(allow_files = [".deb"]), file = attr.string(mandatory = True)),
)

def _to_platform_impl(settings, attr):
    given = settings["//command_line_option:platforms"]
    return {"//command_line_option:platforms": [attr.platform] if attr.platform else given}

# Dependencies as they are for the platform of a layer: wheels differ.
_to_platform = transition(
    implementation = _to_platform_impl,
    inputs = ["//command_line_option:platforms"],
    outputs = ["//command_line_option:platforms"],
)

def _python_layer_impl(ctx):
    """Files of a library and all that it needs: ours, or those of third parties."""
    out = ctx.actions.declare_file(ctx.label.name + ".tar.gz")
    files = []
    for target in ctx.attr.deps:
        for file in target[DefaultInfo].default_runfiles.files.to_list():
            third_party = file.short_path.startswith("../")
            if third_party == ctx.attr.third_party and not file.is_directory:
                files.append(file)
    manifest = ctx.actions.declare_file(ctx.label.name + ".manifest")
    head = "%s\t%s\n" % (ctx.attr.program, ctx.attr.module)
    ctx.actions.write(manifest, head + "".join(["%s\t%s\n" % (file.path, file.short_path) for file in files]))
    args = ctx.actions.args()
    args.add("python", out)
    args.add(manifest)
    ctx.actions.run(
        outputs = [out],
        inputs = files + [manifest],
        executable = ctx.executable._tool,
        arguments = [args],
        mnemonic = "PythonLayer",
        progress_message = "Packing Python files into %{label}",
    )
    return [
        # What it was made of, for the test that makes it again.
        DefaultInfo(files = depset([out]), runfiles = ctx.runfiles(files)),
        OutputGroupInfo(manifest = depset([manifest])),
    ]

python_layer = rule(
    _python_layer_impl,
    attrs = dict(
        _TOOL,
        deps = attr.label_list(cfg = _to_platform),
        module = attr.string(doc = "module that the program runs"),
        platform = attr.label(doc = "for which the wheels are; none: that of the build"),
        program = attr.string(doc = "name of a program in /usr/bin"),
        third_party = attr.bool(),
        _allowlist_function_transition = attr.label(default = "@bazel_tools//tools/allowlists/function_transition_allowlist"),
    ),
)

def layer_test(name, layer, debs = None, base = True):
    """Makes a layer a second time, from other folders and in another order, and compares the bytes.

    Args:
      name: ends with _test.
      layer: a debian_layer, or a python_layer.
      debs: the packages of a debian_layer.
      base: as that layer has it.
    """
    if debs:
        inputs, kind = debs, "debian" if base else "files"
    else:
        inputs, kind = name + ".manifest", "python"
        native.filegroup(name = inputs, srcs = [layer], output_group = "manifest", testonly = True)
    room_test(
        name = name,
        size = "medium",
        srcs = ["//bazel/image:twice_test.py"],
        data = [layer, inputs, "//bazel/image:layer.py"],
        env = {
            "INPUTS": "$(rootpaths %s)" % inputs,
            "KIND": kind,
            "LAYER": "$(rootpath %s)" % layer,
            "TOOL": "$(rootpath //bazel/image:layer.py)",
        },
    )

"""Layers of an image as reproducible tars: same input, same bytes."""

def _debian_layer_impl(ctx):
    out = ctx.actions.declare_file(ctx.label.name + ".tar.gz")
    args = ctx.actions.args()
    args.add("debian", out)
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

debian_layer = rule(_debian_layer_impl, attrs = dict(_TOOL, debs = attr.label_list(allow_files = [".deb"])))

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
    ctx.actions.write(manifest, "".join(["%s\t%s\n" % (file.path, file.short_path) for file in files]))
    args = ctx.actions.args()
    args.add("python", out)
    args.add(manifest)
    args.add(ctx.attr.program)
    args.add(ctx.attr.module)
    ctx.actions.run(
        outputs = [out],
        inputs = files + [manifest],
        executable = ctx.executable._tool,
        arguments = [args],
        mnemonic = "PythonLayer",
        progress_message = "Packing Python files into %{label}",
    )
    return DefaultInfo(files = depset([out]))

python_layer = rule(
    _python_layer_impl,
    attrs = dict(
        _TOOL,
        deps = attr.label_list(),
        module = attr.string(doc = "module that the program runs"),
        program = attr.string(doc = "name of a program in /usr/bin"),
        third_party = attr.bool(),
    ),
)

"""Stands in for @rules_oci//oci:defs.bzl: `oci_image` without a base, `oci_image_index`, and `oci_load` in OCI form."""

_TOOL = {"_tool": attr.label(default = "//oci:layout", executable = True, cfg = "exec")}

def _image_impl(ctx):
    out = ctx.actions.declare_directory(ctx.label.name)
    config = ctx.actions.declare_file(ctx.label.name + ".config.json")
    ctx.actions.write(config, json.encode({
        "architecture": ctx.attr.architecture,
        "os": ctx.attr.os,
        "entrypoint": ctx.attr.entrypoint,
        "cmd": ctx.attr.cmd,
        "env": ctx.attr.env,
        "labels": ctx.attr.labels,
        "user": ctx.attr.user,
        "workdir": ctx.attr.workdir,
    }))
    args = ctx.actions.args()
    args.add("image")
    args.add(out.path)
    args.add(config)
    args.add_all(ctx.files.tars)
    ctx.actions.run(
        outputs = [out],
        inputs = ctx.files.tars + [config],
        executable = ctx.executable._tool,
        arguments = [args],
        mnemonic = "OciImage",
    )
    return DefaultInfo(files = depset([out]))

oci_image = rule(_image_impl, attrs = dict(
    _TOOL,
    architecture = attr.string(mandatory = True),
    cmd = attr.string_list(),
    entrypoint = attr.string_list(),
    env = attr.string_dict(),
    labels = attr.string_dict(),
    os = attr.string(mandatory = True),
    tars = attr.label_list(allow_files = [".tar.gz", ".tar"]),
    user = attr.string(),
    workdir = attr.string(),
))

def _index_impl(ctx):
    out = ctx.actions.declare_directory(ctx.label.name)
    args = ctx.actions.args()
    args.add("index")
    args.add(out.path)
    args.add_all(ctx.files.images, expand_directories = False)
    ctx.actions.run(
        outputs = [out],
        inputs = ctx.files.images,
        executable = ctx.executable._tool,
        arguments = [args],
        mnemonic = "OciIndex",
    )
    return DefaultInfo(files = depset([out]))

oci_image_index = rule(_index_impl, attrs = dict(_TOOL, images = attr.label_list(mandatory = True)))

def _load_impl(ctx):
    out = ctx.actions.declare_file(ctx.label.name + "/tarball.tar")
    args = ctx.actions.args()
    args.add("archive")
    args.add(out)
    args.add(ctx.files.image[0].path)
    args.add_all(ctx.attr.repo_tags)
    ctx.actions.run(
        outputs = [out],
        inputs = ctx.files.image,
        executable = ctx.executable._tool,
        arguments = [args],
        mnemonic = "OciArchive",
    )
    return [
        DefaultInfo(files = depset([out])),
        OutputGroupInfo(tarball = depset([out])),
    ]

oci_load = rule(_load_impl, attrs = dict(
    _TOOL,
    format = attr.string(default = "oci", values = ["oci"]),
    image = attr.label(mandatory = True),
    repo_tags = attr.string_list(),
))

"""The Helm chart as one file, the same bytes for the same input."""

load("@bazel_skylib//rules:common_settings.bzl", "BuildSettingInfo", _string_flag = "string_flag")

string_flag = _string_flag

def _chart_package_impl(ctx):
    out = ctx.actions.declare_file(ctx.attr.out)
    args = ctx.actions.args()
    args.add("package")
    # What git says of the checkout: bazel/status.sh.
    args.add(ctx.info_file, format = "--status=%s")
    args.add(ctx.attr.version[BuildSettingInfo].value, format = "--version=%s")
    args.add(ctx.attr.repository[BuildSettingInfo].value, format = "--repository=%s")
    args.add(out, format = "--out=%s")
    args.add_all(ctx.files.srcs)
    ctx.actions.run(
        outputs = [out],
        inputs = ctx.files.srcs + [ctx.info_file],
        executable = ctx.executable._tool,
        arguments = [args],
        mnemonic = "ChartPackage",
    )
    return DefaultInfo(files = depset([out]), runfiles = ctx.runfiles([out]))

chart_package = rule(
    _chart_package_impl,
    attrs = {
        "out": attr.string(mandatory = True),
        "repository": attr.label(doc = "flag: default of image.repository", providers = [BuildSettingInfo]),
        "srcs": attr.label_list(allow_files = True),
        "version": attr.label(doc = "flag: instead of that of the git tag", providers = [BuildSettingInfo]),
        "_tool": attr.label(default = "//python/amdgpu_dra/apps/release:program", executable = True, cfg = "exec"),
    },
)

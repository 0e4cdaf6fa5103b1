"""The image of one of our programs, and the tests that every one of them has."""

load("@rules_oci//oci:defs.bzl", "oci_image", "oci_load")
load("//bazel/image:layers.bzl", "layer_test", "python_layer")

def python_image(program, module, command, title, repository, tars = [], env = {}, user = None):
    """`image`, `load` and `tarball` (an OCI archive) of a program, over the layers that all images share.

    Args:
      program: the library that holds the program.
      module: the module that runs it.
      command: its name on PATH in the image.
      title: what it is, for people who look at a registry.
      repository: the name that `load` gives it on this machine.
      tars: layers between Debian's and the third-party one.
      env: environment beside what all have.
      user: `uid:gid`; none means root.
    """
    python_layer(
        name = "third_party",
        third_party = True,
        deps = [program],
    )
    python_layer(
        name = "app",
        module = module,
        program = command,
        deps = [program],
    )
    oci_image(
        name = "image",
        architecture = "amd64",
        entrypoint = ["/usr/bin/" + command],
        env = {
            "LANG": "C.UTF-8",
            # One heap for all threads: a node of many cores would have one for each, half empty.
            "MALLOC_ARENA_MAX": "1",
            "PATH": "/usr/bin",
            "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
        } | env,
        labels = {
            "org.opencontainers.image.licenses": "Apache-2.0",
            "org.opencontainers.image.title": title,
        },
        os = "linux",
        # From what changes least to what changes most.
        tars = ["//images/base:amd64"] + tars + [
            ":third_party",
            ":app",
        ],
        user = user,
        visibility = [
            "//e2e:__subpackages__",
            "//images:__subpackages__",
        ],
    )
    oci_load(
        name = "load",
        format = "oci",
        image = ":image",
        repo_tags = ["localhost/amdgpu-dra/%s:dev" % repository],
    )
    native.filegroup(
        name = "tarball",
        srcs = [":load"],
        output_group = "tarball",
        visibility = ["//e2e:__subpackages__"],
    )
    for layer in ["third_party", "app"]:
        layer_test(
            name = layer + "_test",
            layer = ":" + layer,
            deps = [program],
        )

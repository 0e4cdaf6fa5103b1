"""The image of one of our programs, and the tests that every one of them has."""

load("@rules_oci//oci:defs.bzl", "oci_image", "oci_image_index", "oci_load")
load("//bazel:defs.bzl", "room_test")
load("//bazel/image:layers.bzl", "layer_test", "python_layer")

# As OCI names them -> as Debian names folders of their libraries.
ARCHITECTURES = {
    "amd64": "x86_64-linux-gnu",
    "arm64": "aarch64-linux-gnu",
}

def python_image(program, module, command, title, repository, tars = [], env = {}, user = None):
    """`index` (every architecture), `image` (amd64), `image_arm64`, and `load` and `tarball` (an OCI archive) of `image`.

    All images share Debian's layer, and those of both architectures the program's.

    Args:
      program: the library that holds the program.
      module: the module that runs it.
      command: its name on PATH in the image.
      title: what it is, for people who look at a registry.
      repository: the name that `load` gives it on this machine.
      tars: layers between Debian's and the third-party one; `{architecture}` stands for what its name says.
      env: environment beside what all have; `{triple}` stands for the folder of an architecture's libraries.
      user: `uid:gid`; none means root.
    """
    visibility = [
        "//e2e:__subpackages__",
        "//images:__subpackages__",
    ]
    python_layer(
        name = "app",
        module = module,
        program = command,
        deps = [program],
    )
    layer_test(
        name = "app_test",
        layer = ":app",
    )
    for architecture, triple in ARCHITECTURES.items():
        end = "" if architecture == "amd64" else "_" + architecture
        python_layer(
            name = "third_party" + end,
            platform = "//bazel/image:linux_" + architecture,
            third_party = True,
            deps = [program],
        )
        layer_test(
            name = "third_party%s_test" % end,
            layer = ":third_party" + end,
        )
        oci_image(
            name = "image" + end,
            architecture = architecture,
            entrypoint = ["/usr/bin/" + command],
            env = {
                "LANG": "C.UTF-8",
                # One heap for all threads: a node of many cores would have one for each, half empty.
                "MALLOC_ARENA_MAX": "1",
                "PATH": "/usr/bin",
                "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
            } | {name: value.format(triple = triple) for name, value in env.items()},
            labels = {
                "org.opencontainers.image.licenses": "Apache-2.0",
                "org.opencontainers.image.title": title,
            },
            os = "linux",
            # From what changes least to what changes most.
            tars = ["//images/base:" + architecture] + [tar.format(architecture = architecture) for tar in tars] + [
                ":third_party" + end,
                ":app",
            ],
            user = user,
            visibility = visibility,
        )
    oci_image_index(
        name = "index",
        images = [
            ":image",
            ":image_arm64",
        ],
        visibility = visibility,
    )
    room_test(
        name = "index_test",
        size = "medium",
        srcs = ["//images/testing:index_test.py"],
        data = [
            ":index",
            "//images/emulator:emulator",
        ],
        env = {
            "COMMAND": command,
            "EMULATOR": "$(rootpath //images/emulator:emulator)",
            "INDEX": "$(rootpath :index)",
        },
        deps = ["//images/testing:layout"],
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

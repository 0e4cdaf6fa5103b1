"""Debian packages as inputs of an image: downloaded by their hash, as a lock names them, without a base image.

Order: Bazel's repository cache, the mirror named by DEBIAN_MIRROR or by the machine's apt configuration, then the snapshot
address in DEBIAN_SNAPSHOT. No address stands here.
"""

def _mirrors(rctx):
    found = []
    for name in ["DEBIAN_MIRROR", "DEBIAN_SNAPSHOT"]:
        address = rctx.os.environ.get(name)
        if address:
            found.append(address.rstrip("/"))
        elif name == "DEBIAN_MIRROR" and rctx.which("apt-get"):
            result = rctx.execute(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian"])
            addresses = [line.strip().rstrip("/") for line in result.stdout.split("\n") if line.strip() and "security" not in line]
            found.extend(addresses[:1] if addresses else _sources_list(rctx))
    return found

def _sources_list(rctx):
    """The first source of /etc/apt/sources.list, which is there before apt has fetched an index."""
    result = rctx.execute(["sh", "-c", "sed -n 's/^deb \\(\\[.*\\] \\)*\\([^ ]*\\) .*/\\2/p' /etc/apt/sources.list | head -n 1"])
    return [result.stdout.strip().rstrip("/")] if result.stdout.strip() else []

def _packages_impl(rctx):
    lock = json.decode(rctx.read(rctx.attr.lock))
    mirrors = _mirrors(rctx)
    for package in lock["packages"]:
        if package["architecture"] != rctx.attr.architecture:
            continue
        name = package["name"] + ".deb"
        if not mirrors:
            fail("no Debian mirror: set DEBIAN_MIRROR to one, for package %s" % package["name"])
        result = rctx.download(
            url = ["%s/%s" % (mirror, package["path"]) for mirror in mirrors],
            output = "debs/" + name,
            sha256 = package["sha256"],
            allow_fail = True,
        )
        if not result.success:
            fail(("Debian package %s %s is on no mirror under %s: Debian removes old files at point releases. " +
                  "Renew the lock with ./bazelw run //images/base:lock.update, or set DEBIAN_SNAPSHOT to an archive that keeps them.") %
                 (package["name"], package["version"], package["path"]))
    rctx.file("BUILD.bazel", 'filegroup(name = "debs", srcs = glob(["debs/*.deb"]), visibility = ["//visibility:public"])\n')

_packages = repository_rule(
    _packages_impl,
    attrs = {"architecture": attr.string(), "lock": attr.label()},
    environ = ["DEBIAN_MIRROR", "DEBIAN_SNAPSHOT"],
)

def _debian_impl(mctx):
    for module in mctx.modules:
        for tag in module.tags.lock:
            for architecture in tag.architectures:
                _packages(name = "%s_%s" % (tag.name, architecture), architecture = architecture, lock = tag.file)

_lock = tag_class(attrs = {"architectures": attr.string_list(), "file": attr.label(), "name": attr.string()})

debian = module_extension(_debian_impl, tag_classes = {"lock": _lock})

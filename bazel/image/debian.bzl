"""Debian packages as inputs of an image: downloaded by their hash, as a lock names them, without a base image.

Order: Bazel's repository cache, the mirror named by DEBIAN_MIRROR or else by the machine's apt configuration, then the
snapshot address in DEBIAN_SNAPSHOT. No address stands here. images/base/lock.py looks for the mirror in the same way.
"""

# A source of apt's, as `deb [options] URI suite…` or as a deb822 field.
_SOURCES = "cat /etc/apt/sources.list /etc/apt/sources.list.d/* | sed -nE 's/^(deb (\\[[^]]*\\] )?|URIs: *)([^ ]+).*/\\3/p'"

def _mirrors(rctx):
    given = rctx.os.environ.get("DEBIAN_MIRROR")
    found = [given] if given else _machine_mirrors(rctx)[:1]
    snapshot = rctx.os.environ.get("DEBIAN_SNAPSHOT")
    return [address.rstrip("/") for address in found + ([snapshot] if snapshot else [])]

def _machine_mirrors(rctx):
    """Debian mirrors of the machine; apt knows their origin only once it has fetched an index, so its files come next."""
    if not rctx.which("apt-get"):
        return []
    known = rctx.execute(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian"])
    listed = rctx.execute(["sh", "-c", _SOURCES])
    found = (known.stdout + "\n" + listed.stdout).split("\n")
    return [line.strip() for line in found if line.strip().rstrip("/").endswith("/debian")]

def _addresses(mirrors, package):
    """Where a package may lie: security updates move into the main archive at the next point release."""
    path = package["path"]
    if not path.startswith("pool/updates/"):
        return ["%s/%s" % (mirror, path) for mirror in mirrors]
    found = []
    for mirror in mirrors:
        found.append("%s/%s" % ((mirror + "/").replace("/debian/", "/debian-security/").rstrip("/"), path))
        found.append("%s/%s" % (mirror, path.replace("pool/updates/", "pool/", 1)))
    return found

def _packages_impl(rctx):
    lock = json.decode(rctx.read(rctx.attr.lock))
    mirrors = _mirrors(rctx)
    if not mirrors:
        fail("no Debian mirror: expected one in the machine's apt configuration, found none; set DEBIAN_MIRROR to one")
    for package in lock["packages"]:
        if package["architecture"] != rctx.attr.architecture:
            continue
        addresses = _addresses(mirrors, package)
        result = rctx.download(
            url = addresses,
            output = "debs/%s.deb" % package["name"],
            sha256 = package["sha256"],
            allow_fail = True,
        )
        if not result.success:
            fail(("Debian package %s %s: expected the file with hash %s at one of %s; found none, as the warnings above say. " +
                  "After a 404: Debian removes old files at point releases; renew the lock with ./bazelw run //images/base:lock.update, " +
                  "or set DEBIAN_SNAPSHOT to an archive that keeps them. Otherwise set DEBIAN_MIRROR to a mirror that answers.") %
                 (package["name"], package["version"], package["sha256"], ", ".join(addresses)))
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

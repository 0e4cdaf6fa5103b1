"""Renews the locks of Debian packages: `./bazelw run //images/base:lock.update`.

Takes the newest versions of the wanted packages and of what they need from Debian stable and its security updates, for
both architectures. What an image adds to the base is in a lock of its own. The mirror is DEBIAN_MIRROR, or the one that
the machine's apt is configured with; the security archive is its sibling.
"""

import json
import lzma
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from itertools import zip_longest
from pathlib import Path

SUITE = "trixie"
ARCHITECTURES = ("amd64", "arm64")
WANTED = ("ca-certificates", "libpython3.13-stdlib", "libstdc++6", "python3.13-minimal")
# Lock -> what it holds beyond the base.
ADDED = {
    "images/fakegpu/packages_lock.json": ("libfuse3-4",),
    # No part of an image: the registry that tests push to.
    "images/registry/packages_lock.json": ("docker-registry",),
    # Nor this: it runs programs of the other architecture in tests.
    "images/emulator/packages_lock.json": ("qemu-user",),
}
# Needed by scripts that never run here, or by programs and modules that bazel/image/layer.py leaves out.
NOT_NEEDED = {
    "adduser",
    "debconf",
    "init-system-helpers",
    "install-info",
    "libdb5.3t64",
    "libncursesw6",
    "libreadline8t64",
    "libtinfo6",
    "media-types",
    "netbase",
    "openssl",
    "openssl-provider-legacy",
    "tzdata",
}
_SOURCE = re.compile(r"^(?:deb (?:\[.*?\] )?|URIs: *)(\S+)", re.MULTILINE)
_FIELD = re.compile(r"^(Package|Version|Filename|SHA256|Size|Depends|Pre-Depends): (.*)$", re.MULTILINE)
type Fields = Mapping[str, str]


def mirror(environment: Mapping[str, str], apt: Path = Path("/etc/apt")) -> str:
    """The address of a Debian mirror, without a slash at its end. Ends the program with a hint where there is none."""
    if found := environment.get("DEBIAN_MIRROR"):
        return found.rstrip("/")
    for line in [*_known_to_apt(), *_sources(apt)]:
        if (address := line.rstrip("/")).endswith("/debian"):
            return address
    raise SystemExit("no Debian mirror: expected one in the apt configuration, found none; set DEBIAN_MIRROR to one")


def _known_to_apt() -> list[str]:
    """Sources whose origin apt knows, since it has fetched an index of theirs."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    except FileNotFoundError:
        return []


def _sources(apt: Path) -> Iterable[str]:
    for path in (apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))):
        if path.is_file():
            yield from _SOURCE.findall(path.read_text())


def read_index(url: str) -> dict[str, Fields]:
    """Package name -> fields, of one Packages.xz. Ends the program where it cannot be had."""
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - the address is the machine's own
            return parse_index(lzma.decompress(answer.read()).decode())
    except (urllib.error.URLError, TimeoutError, lzma.LZMAError) as error:
        raise SystemExit(
            f"{url}: expected an index of packages, found: {error}; set DEBIAN_MIRROR to another"
        ) from error


def parse_index(text: str) -> dict[str, Fields]:
    """Package name -> fields; the newest version of each."""
    found: dict[str, Fields] = {}
    for paragraph in text.split("\n\n"):
        fields = dict(_FIELD.findall(paragraph))
        if "Package" in fields:
            _keep_newer(found, fields)
    return found


def _keep_newer(found: dict[str, Fields], fields: Fields) -> None:
    old = found.get(fields["Package"])
    if old is None or version_key(fields["Version"]) > version_key(old["Version"]):
        found[fields["Package"]] = fields


def newest(first: Mapping[str, Fields], second: Mapping[str, Fields]) -> dict[str, Fields]:
    """Both indexes as one; of a package that is in both, the newer version, and the first's if they are the same."""
    found = dict(first)
    for fields in second.values():
        _keep_newer(found, fields)
    return found


class _Part:
    """Text and numbers of a version by turns (Debian Policy 5.6.12): `~`, then the end, letters, other signs."""

    def __init__(self, text: str) -> None:
        pieces = re.findall(r"(\D*)(\d*)", text)
        self.pieces = [([_rank(sign) for sign in words] + [0], int(number or 0)) for words, number in pieces]

    def __lt__(self, other: "_Part") -> bool:
        for mine, theirs in zip_longest(self.pieces, other.pieces, fillvalue=([0], 0)):
            if mine != theirs:
                return mine < theirs
        return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Part) and not self < other and not other < self

    __hash__ = None  # type: ignore[assignment]


def _rank(sign: str) -> int:
    return -1 if sign == "~" else ord(sign) if sign.isalpha() else ord(sign) + 256


def version_key(version: str) -> tuple[int, _Part, _Part]:
    """Sorts as Debian does: epoch, upstream version, revision."""
    epoch, _, rest = version.rpartition(":")
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
    return int(epoch or 0), _Part(upstream), _Part(revision)


def closure(index: Mapping[str, Fields], wanted: Iterable[str] = WANTED) -> list[str]:
    """The wanted packages and everything that they need, first alternatives taken."""
    found: set[str] = set()
    open_names = list(wanted)
    while open_names:
        name = open_names.pop()
        if name in found or name in NOT_NEEDED:
            continue
        if name not in index:
            raise SystemExit(f"package {name} is not in {SUITE}: correct WANTED in images/base/lock.py")
        found.add(name)
        needs = ", ".join(index[name].get(field, "") for field in ("Pre-Depends", "Depends"))
        open_names += [re.split(r"[ (:|]", need.strip())[0] for need in needs.split(",") if need.strip()]
    return sorted(found)


def entry(fields: Fields, architecture: str) -> dict[str, str | int]:
    """A package as the lock holds it."""
    return {
        "name": fields["Package"],
        "version": fields["Version"],
        "architecture": architecture,
        "path": fields["Filename"],
        "sha256": fields["SHA256"],
        "size": int(fields["Size"]),
    }


def main() -> int:
    """Writes the locks into the checkout, and says what has changed."""
    address = mirror(os.environ)
    security = f"{address}/".replace("/debian/", "/debian-security/").rstrip("/")
    indexes = {
        architecture: newest(
            read_index(f"{address}/dists/{SUITE}/main/binary-{architecture}/Packages.xz"),
            read_index(f"{security}/dists/{SUITE}-security/main/binary-{architecture}/Packages.xz"),
        )
        for architecture in ARCHITECTURES
    }
    checkout = Path(os.environ["BUILD_WORKSPACE_DIRECTORY"])
    write_lock(checkout / "images/base/packages_lock.json", indexes, WANTED)
    for path, wanted in ADDED.items():
        write_lock(checkout / path, indexes, wanted, beyond=WANTED)
    return 0


def write_lock(
    out: Path, indexes: Mapping[str, Mapping[str, Fields]], wanted: Iterable[str], beyond: Iterable[str] = ()
) -> None:
    """Writes one lock: the closure of the wanted packages, without that of `beyond`."""
    packages = []
    for architecture, index in indexes.items():
        base = set(closure(index, beyond))
        packages += [entry(index[name], architecture) for name in closure(index, wanted) if name not in base]
    old = json.loads(out.read_text())["packages"] if out.is_file() else []
    before = {(p["name"], p["architecture"], p["version"]) for p in old}
    after = {(p["name"], p["architecture"], p["version"]) for p in packages}
    for sign, rows in (("-", before - after), ("+", after - before)):
        for row in sorted(rows):
            print(sign, *row)
    out.write_text(json.dumps({"suite": SUITE, "packages": packages}, indent=1) + "\n")
    print(f"{len(packages)} packages in {out.parent.name}/{out.name}")


if __name__ == "__main__":
    sys.exit(main())

"""Renews the lock of Debian packages: `./bazelw run //images/base:lock.update`.

Takes the newest versions of the wanted packages and of what they need from the index of Debian stable, for both
architectures. The mirror is DEBIAN_MIRROR, or the one that the machine's apt is configured with.
"""

import json
import lzma
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

SUITE = "trixie"
ARCHITECTURES = ("amd64", "arm64")
WANTED = ("ca-certificates", "libpython3.13-stdlib", "libstdc++6", "python3.13-minimal")
# Needed by scripts that never run here, or by programs that are left out.
NOT_NEEDED = {"debconf", "dpkg", "media-types", "openssl", "readline-common", "install-info"}


def mirror() -> str:
    """The address of a Debian mirror. Ends the program with a hint where there is none."""
    if found := os.environ.get("DEBIAN_MIRROR"):
        return found.rstrip("/")
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian"]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    sources = Path("/etc/apt/sources.list")
    if not lines and sources.is_file():
        lines = re.findall(r"^deb (?:\[.*?\] )?(\S+)", sources.read_text(), re.MULTILINE)
    lines = [line for line in lines if "security" not in line]
    if not lines:
        raise SystemExit("no Debian mirror: set DEBIAN_MIRROR to one")
    return lines[0].rstrip("/")


def read_index(address: str, architecture: str) -> dict[str, dict[str, str]]:
    """Package name -> fields, of the suite's index."""
    url = f"{address}/dists/{SUITE}/main/binary-{architecture}/Packages.xz"
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - the address is the machine's own
        text = lzma.decompress(answer.read()).decode()
    packages = {}
    for paragraph in text.split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z0-9-]+): (.*)$", paragraph, re.MULTILINE))
        if "Package" in fields:
            packages[fields["Package"]] = fields
    return packages


def closure(index: dict[str, dict[str, str]]) -> list[str]:
    """The wanted packages and everything that they need, first alternatives taken."""
    found: set[str] = set()
    open_names = list(WANTED)
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


def main() -> int:
    """Writes the lock into the checkout."""
    address = mirror()
    packages = []
    for architecture in ARCHITECTURES:
        index = read_index(address, architecture)
        packages += [
            {
                "name": name,
                "version": index[name]["Version"],
                "architecture": architecture,
                "path": index[name]["Filename"],
                "sha256": index[name]["SHA256"],
                "size": int(index[name]["Size"]),
            }
            for name in closure(index)
        ]
    out = Path(os.environ["BUILD_WORKSPACE_DIRECTORY"]) / "images/base/packages_lock.json"
    out.write_text(json.dumps({"suite": SUITE, "packages": packages}, indent=1) + "\n")
    print(f"{len(packages)} packages in {out.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What an image is made of, read from the two locks and from what packages say of themselves."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.parser import HeaderParser
from typing import Any
from urllib.parse import quote

# As Debian's copyright files and wheels call them -> as SPDX does.
_KNOWN = {
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache-2": "Apache-2.0",
    "apache-2.0": "Apache-2.0",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "0bsd": "0BSD",
    "3-clause bsd license": "BSD-3-Clause",
    "expat": "MIT",
    "gpl-2": "GPL-2.0-only",
    "gpl-2+": "GPL-2.0-or-later",
    "gpl-3": "GPL-3.0-only",
    "gpl-3+": "GPL-3.0-or-later",
    "isc": "ISC",
    "lgpl-2.1": "LGPL-2.1-only",
    "lgpl-2.1+": "LGPL-2.1-or-later",
    "lgpl-3+": "LGPL-3.0-or-later",
    "mit": "MIT",
    "mit license": "MIT",
    "mpl-1.1": "MPL-1.1",
    "mpl-2.0": "MPL-2.0",
    "psf-2.0": "PSF-2.0",
    "x11": "X11",
    "zlib": "Zlib",
}
_LONGEST_NAME = 60  # of a licence; some put its whole text there
_EXPRESSION = re.compile(r"[A-Za-z0-9.+-]+(?: (?:AND|OR|WITH) [A-Za-z0-9.+-]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One package of an image.

    Attributes:
        purl: its package URL, which tells an architecture where files differ by it.
        licence: an SPDX expression, `LicenseRef-…` for what SPDX has no name of; empty if it is not known.
        hashes: SHA-256, in hex. Of a wheel the lock has those of every file that may be taken, one for each platform.
        origin: file or index that it comes from.
    """

    name: str
    version: str
    purl: str
    licence: str
    hashes: tuple[str, ...]
    origin: str


def debian_component(package: Mapping[str, Any], suite: str, licences: Iterable[str]) -> Component:
    """A row of the lock of Debian packages, with the names in its copyright file."""
    name, version, architecture = package["name"], package["version"], package["architecture"]
    return Component(
        name=name,
        version=version,
        purl=f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={architecture}&distro={suite}",
        licence=" AND ".join(sorted({_named(each) for each in licences})),
        hashes=(package["sha256"],),
        origin=package["path"],
    )


def debian_licences(copyright_file: str) -> list[str]:
    """The short names in a machine-readable copyright file (DEP 5); none of any other."""
    if "Format:" not in copyright_file.partition("\n\n")[0]:
        return []
    names = re.findall(r"^License: *(\S.*)$", copyright_file, re.MULTILINE)
    parts = (part for name in names for part in re.split(r",? (?:and|or) |, ", name))
    return sorted({part.strip() for part in parts if part.strip()})


def locked_wheels(lock: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Normalised name -> version and hashes, of a lock that pip reads."""
    found = {}
    for line in lock.replace("\\\n", " ").splitlines():
        if match := re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==(\S+)", line):
            found[_normal(match[1])] = (match[2], tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})", line)))
    return found


def wheel_component(metadata: str, locked: Mapping[str, tuple[str, tuple[str, ...]]]) -> Component:
    """A wheel that an image has, by its METADATA; version and hashes are those of the lock.

    Raises:
        KeyError: the lock has no such package.
    """
    fields = HeaderParser().parsestr(metadata)
    name = _normal(fields["Name"])
    version, hashes = locked[name]
    return Component(
        name=name,
        version=version,
        purl=f"pkg:pypi/{name}@{quote(version)}",
        licence=_wheel_licence(fields),
        hashes=hashes,
        origin="python/requirements_lock.txt",
    )


def _wheel_licence(fields: Any) -> str:
    if expression := fields["License-Expression"]:
        return str(expression)
    heads = [
        str(row).rpartition(" :: ")[2] for row in fields.get_all("Classifier") or [] if row.startswith("License ::")
    ]
    stated = str(fields["License"] or "").strip()
    names = [stated] if stated and "\n" not in stated and len(stated) < _LONGEST_NAME else heads
    return " AND ".join(sorted({_named(name) for name in names if name != "OSI Approved"}))


def _named(name: str) -> str:
    if found := _KNOWN.get(name.lower()):
        return found
    if name in _KNOWN.values() or (" " in name and _EXPRESSION.fullmatch(name)):
        return name
    return "LicenseRef-" + re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()

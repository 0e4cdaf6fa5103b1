"""The lock of Debian packages: which mirror, which versions, which packages. No network."""

import json
from itertools import pairwise
from pathlib import Path

import lock
import pytest

INDEX = """\
Package: app
Version: 1.0-1
Depends: liba (>= 1), libb | libc, debconf
Filename: pool/main/a/app_1.0-1_amd64.deb
SHA256: 00
Size: 1
Description: a program
 Depends: not-a-field

Package: liba
Version: 2:1.9
Pre-Depends: libd

Package: libb
Version: 1

Package: libd
Version: 3
"""
# By Debian's rules (Policy 5.6.12), each before the next.
IN_ORDER = [
    "0.9",
    "1.0~rc1-1",
    "1.0-1~deb13u1",
    "1.0-1",
    "1.0-1+b1",
    "1.0-1+deb13u1",
    "1.0-2",
    "1.0-10",
    "1.0a-1",
    "1.0+dfsg-1",
    "1.0.1-1",
    "1.10-1",
    "1:0.1-1",
]


@pytest.mark.parametrize(("older", "newer"), list(pairwise(IN_ORDER)))
def test_versions_sort_as_debian_does(older: str, newer: str) -> None:
    """Epoch, tilde, letters and numbers count as Debian's policy says."""
    assert lock.version_key(older) < lock.version_key(newer)
    assert not lock.version_key(newer) < lock.version_key(older)


def test_closure_takes_what_is_needed() -> None:
    """Dependencies of dependencies, the first of alternatives, and nothing that only scripts need."""
    assert lock.closure(lock.parse_index(INDEX), ["app"]) == ["app", "liba", "libb", "libd"]


def test_unknown_package_is_named() -> None:
    """A wanted package that Debian does not have ends the program with its name."""
    with pytest.raises(SystemExit, match="package nothing is not in"):
        lock.closure(lock.parse_index(INDEX), ["nothing"])


def test_security_updates_win_when_they_are_newer() -> None:
    """Of the archive and its security updates the newer version is taken; the archive's, if both have the same."""
    archive = lock.parse_index("Package: a\nVersion: 1-1\n\nPackage: b\nVersion: 2-1\nFilename: pool/main/b\n")
    security = lock.parse_index(
        "Package: a\nVersion: 1-1+deb13u1\n\nPackage: b\nVersion: 2-1\nFilename: pool/updates/b\n"
    )

    found = lock.newest(archive, security)

    assert found["a"]["Version"] == "1-1+deb13u1"
    assert found["b"]["Filename"] == "pool/main/b"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sources.list", "# a comment\ndeb [arch=amd64] http://one.example/debian bookworm main\n"),
        ("sources.list", "deb http://x.example/debian-security s main\ndeb http://one.example/debian/ sid main\n"),
        ("sources.list.d/debian.sources", "Types: deb\nURIs: http://one.example/debian\nSuites: trixie\n"),
    ],
    ids=["one-line", "after-security", "deb822"],
)
def test_mirror_is_the_machines_own(name: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mirror is read from apt's sources in both forms; that of security updates is not taken for it."""
    monkeypatch.setenv("PATH", str(tmp_path))  # no apt-get
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / name).write_text(text)

    assert lock.mirror({}, tmp_path) == "http://one.example/debian"
    assert lock.mirror({"DEBIAN_MIRROR": "http://two.example/d/"}, tmp_path) == "http://two.example/d"


def test_no_mirror_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing names a mirror, the message names the variable that does."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(SystemExit, match="set DEBIAN_MIRROR"):
        lock.mirror({}, tmp_path)


def test_the_lock_is_whole() -> None:
    """Both architectures have the same packages, each with a hash and a path that any mirror serves."""
    packages = json.loads(Path("images/base/packages_lock.json").read_text())["packages"]

    names = {a: [p["name"] for p in packages if p["architecture"] == a] for a in lock.ARCHITECTURES}
    assert names["amd64"] == names["arm64"]
    assert set(lock.WANTED) <= set(names["amd64"])
    assert not lock.NOT_NEEDED & set(names["amd64"])
    for package in packages:
        assert len(package["sha256"]) == 64
        assert package["path"].startswith("pool/")

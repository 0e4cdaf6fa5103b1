"""What is in the image, on its layout on disk: no container engine is needed."""

import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

LAYOUT = Path("images/kubelet_plugin/image")
MOST_BYTES = 75 * 10**6


def _blob(digest: str) -> Path:
    return LAYOUT / "blobs" / digest.replace(":", "/")


def _manifest() -> dict[str, list[dict[str, str | int]] | dict[str, str]]:
    (described,) = json.loads((LAYOUT / "index.json").read_text())["manifests"]
    found: dict[str, list[dict[str, str | int]] | dict[str, str]] = json.loads(_blob(described["digest"]).read_text())
    return found


@pytest.fixture(name="root", scope="module")
def _root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image's files, unpacked in the order of its layers."""
    root = tmp_path_factory.mktemp("root")
    for layer in _manifest()["layers"]:
        with tarfile.open(_blob(layer["digest"])) as tar:  # type: ignore[index,arg-type]
            tar.extractall(root, filter="tar")
    return root


def test_image_is_small() -> None:
    """All layers, compressed, are at most 75 MB."""
    sizes = [layer["size"] for layer in _manifest()["layers"]]  # type: ignore[index]

    assert sum(int(size) for size in sizes) <= MOST_BYTES


def test_programs_are_ours_and_python(root: Path) -> None:
    """No shell and no package manager: python and the plugin are the only programs."""
    programs = sorted(path.name for folder in ("usr/bin", "usr/sbin") for path in (root / folder).glob("*"))

    assert programs == ["gpu-kubeletplugin", "python3", "python3.13"]


def test_nobody_may_write_what_is_in_it(root: Path) -> None:
    """No file or folder is writable by group or world."""
    loose = [path for path in root.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o022]

    assert loose == []


def test_licences_are_kept_and_tests_are_not(root: Path) -> None:
    """Copyright files of Debian's packages are there; no test module of ours is."""
    assert (root / "usr/share/doc/python3.13-minimal/copyright").exists() or (
        root / "usr/share/doc/libpython3.13-minimal/copyright"
    ).exists()
    assert list((root / "usr/lib/amdgpu-dra").rglob("*_test.py")) == []
    assert not (root / "usr/lib/amdgpu-dra/amdgpu_dra/testing").joinpath("shared").exists()


def test_every_module_is_compiled(root: Path) -> None:
    """Start-up compiles nothing: each module of ours has its .pyc beside it."""
    for module in (root / "usr/lib/amdgpu-dra").rglob("*.py"):
        assert (module.parent / "__pycache__" / f"{module.stem}.cpython-313.pyc").is_file(), module


def test_the_program_runs_in_it(root: Path) -> None:
    """In a root of its own, with nothing of the machine, the plugin starts and its libraries load."""
    if os.geteuid() != 0:
        pytest.skip("changing the root needs root")
    check = "import grpc, ssl, sqlite3, aiohttp, kubernetes.aio.client.rest; print('loaded')"

    version = subprocess.run(
        ["/usr/sbin/chroot", root, "/usr/bin/gpu-kubeletplugin", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = subprocess.run(
        ["/usr/sbin/chroot", root, "/usr/bin/python3.13", "-I", "-W", "ignore", "-c", check],
        capture_output=True,
        text=True,
        check=True,
    )

    assert version.stdout.count(".") == 2
    assert loaded.stdout == "loaded\n"

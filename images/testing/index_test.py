"""Both architectures of an image are the same but for what is compiled, and each is wholly its own."""

import os
import re
import shutil
from pathlib import Path

import pytest
from layout import Layout

COMMAND, EMULATOR, INDEX = (os.environ[name] for name in ("COMMAND", "EMULATOR", "INDEX"))
IMAGES = {name: Layout(INDEX, name) for name in ("amd64", "arm64")}
# ELF's e_machine, at offset 18.
MACHINES = {"amd64": 62, "arm64": 183}
# What each architecture has under a name of its own: folders and names of libraries, the loader and its folder.
OWN_NAMES = re.compile(r"x86_64|aarch64|x86-64|amd64|arm64")
LOADER = re.compile(r"(usr/)?lib(64)?(/ld-linux-[^/]+)?|usr/lib/MACHINE-linux-gnu/ld-.*")
MOST_BYTES = 75 * 10**6
LOAD_ALL = """
import ctypes, pathlib, platform
for path in pathlib.Path("/usr/lib").rglob("*.so*"):
    ctypes.CDLL(str(path))
print(platform.machine())
"""


def _names(image: Layout) -> set[str]:
    """Paths, without what differs by name alone."""
    found = {OWN_NAMES.sub("MACHINE", member.name) for member in image.members()}
    return {name for name in found if not LOADER.fullmatch(name)}


def test_both_platforms_are_in_it() -> None:
    """The index is one blob with linux/amd64 and linux/arm64, and each image says the same of itself."""
    for name, image in IMAGES.items():
        assert (image.configuration["os"], image.configuration["architecture"]) == ("linux", name)


def test_both_hold_the_same_files() -> None:
    """Every file of one is in the other, but for the loader and names that hold the architecture's own."""
    amd64, arm64 = (_names(image) for image in IMAGES.values())

    assert sorted(amd64 ^ arm64) == []


def test_the_program_is_the_same_layer() -> None:
    """Python code is compiled once: the last layer of both is one blob."""
    amd64, arm64 = (image.manifest["layers"][-1] for image in IMAGES.values())

    assert amd64 == arm64


@pytest.mark.parametrize("name", IMAGES)
def test_every_binary_is_of_its_machine(name: str, tmp_path: Path) -> None:
    """Python, libraries and extension modules: each ELF file of an image is of its architecture."""
    root = IMAGES[name].unpack(tmp_path)
    found = {}
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                head = file.read(20)
            if head.startswith(b"\x7fELF"):
                found[str(path.relative_to(root))] = int.from_bytes(head[18:20], "little")

    assert {path: machine for path, machine in found.items() if machine != MACHINES[name]} == {}
    assert any(path.endswith(".so") and "dist-packages" in path for path in found)
    assert "usr/bin/python3.13" in found


@pytest.mark.parametrize("name", IMAGES)
def test_nothing_but_files_and_build_files_shows(name: str) -> None:
    """A configuration has no time, and no field beyond what is said of the image: its digest is that of its layers'.

    That these are the same wherever they are made is a test of each layer.
    """
    found = IMAGES[name].configuration
    times = {found.get("created"), *(each.get("created") for each in found.get("history", ()))}

    assert set(found) <= {"architecture", "config", "created", "history", "os", "rootfs", "variant"}
    assert set(found["config"]) <= {"Entrypoint", "Env", "Labels", "User"}
    assert times <= {None, "0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z"}


@pytest.mark.parametrize("name", IMAGES)
def test_each_is_small(name: str) -> None:
    """All layers, compressed, are at most 75 MB."""
    assert IMAGES[name].size <= MOST_BYTES


@pytest.mark.parametrize(("name", "machine"), [("amd64", "x86_64"), ("arm64", "aarch64")])
def test_each_runs(name: str, machine: str, tmp_path: Path) -> None:
    """In a root that holds the image alone its program answers, and every library and extension module loads.

    What is of another architecture than this machine runs in an emulator of programs.
    """
    image, root = IMAGES[name], IMAGES[name].unpack_to_run(tmp_path)
    start = ["/usr/bin/python3.13", "-I", "-W", "ignore"]
    if os.uname().machine != machine:
        shutil.copy(EMULATOR, root / "emulator")
        start = ["/emulator", *start]
    usage = image.run(root, *start, f"/usr/bin/{COMMAND}", "--help")
    loaded = image.run(root, *start, "-c", LOAD_ALL)

    assert (usage.returncode, usage.stderr) == (0, "")
    assert usage.stdout.startswith("usage: ")
    assert (loaded.stdout, loaded.stderr) == (f"{machine}\n", "")

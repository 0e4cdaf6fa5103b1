"""The mode files as the plugin writes them, and the processes that it finds."""

import errno
import os
from pathlib import Path

import pytest

from amdgpu_dra.api.errors import HostError
from amdgpu_dra.core.gpu import PciAddress
from amdgpu_dra.core.switch import KfdProcess, Outcome
from amdgpu_dra.edge.sysfs import ModeFiles

ADDRESS = PciAddress(0, 5, 0)
FOLDER = f"bus/pci/devices/{ADDRESS}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A sysfs root with the mode file of one GPU."""
    folder = tmp_path / "sys" / FOLDER
    folder.mkdir(parents=True)
    (folder / "current_compute_partition").write_text("SPX\n")
    return tmp_path / "sys"


def _process(root: Path, pid: int, *gpu_ids: int) -> None:
    folder = root / "class/kfd/kfd/proc" / str(pid)
    folder.mkdir(parents=True)
    (folder / "pasid").write_text("32770\n")
    for gpu_id in gpu_ids:
        (folder / f"vram_{gpu_id}").write_text("4096\n")


def test_the_mode_is_written_whole(root: Path) -> None:
    """One write of the mode as the kernel reads it, and no file is left open."""
    before = os.listdir("/proc/self/fd")

    assert ModeFiles(str(root)).write_mode(ADDRESS, "CPX") is Outcome.DONE
    assert (root / FOLDER / "current_compute_partition").read_text() == "CPX\n"
    assert os.listdir("/proc/self/fd") == before


def test_a_gpu_without_the_file_is_gone(root: Path) -> None:
    """No such file is an outcome, not an error."""
    assert ModeFiles(str(root)).write_mode(PciAddress(0, 6, 0), "CPX") is Outcome.GONE


@pytest.mark.parametrize(
    ("number", "outcome"),
    [
        (errno.EBUSY, Outcome.BUSY),
        (errno.EINVAL, Outcome.ILLEGAL),
        (errno.EPERM, Outcome.RESETTING),
        (errno.EIO, Outcome.FAILED),
        (errno.EACCES, Outcome.DENIED),
        (errno.EROFS, Outcome.DENIED),
        (errno.ENODEV, Outcome.GONE),
    ],
)
def test_each_errno_has_its_outcome(root: Path, monkeypatch: pytest.MonkeyPatch, number: int, outcome: Outcome) -> None:
    """What a write can fail with is told apart, and the file is closed."""

    def refuse(_handle: int, _data: bytes) -> int:
        raise OSError(number, os.strerror(number))

    before = os.listdir("/proc/self/fd")
    monkeypatch.setattr(os, "write", refuse)

    assert ModeFiles(str(root)).write_mode(ADDRESS, "CPX") is outcome
    assert os.listdir("/proc/self/fd") == before


def test_an_unknown_errno_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the file system below has died."""

    def refuse(_handle: int, _data: bytes) -> int:
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

    monkeypatch.setattr(os, "write", refuse)
    with pytest.raises(HostError, match="found ENOTCONN"):
        ModeFiles(str(root)).write_mode(ADDRESS, "CPX")


def test_processes_are_listed_with_their_gpus(root: Path) -> None:
    """Every process of KFD by PID, with the GPUs on which it has memory; what is no process is passed over."""
    _process(root, 20, 5, 7)
    _process(root, 3)
    (root / "class/kfd/kfd/proc/README").mkdir()

    assert ModeFiles(str(root), same_pids=False).find_processes() == (
        KfdProcess(pid=3),
        KfdProcess(pid=20, gpu_ids=frozenset({5, 7})),
    )


def test_no_list_is_no_process(root: Path) -> None:
    """A kernel without the folder names nobody."""
    assert ModeFiles(str(root)).find_processes() == ()


def test_a_process_is_named_where_pids_are_the_nodes(root: Path) -> None:
    """Its command's name, or only its number where numbers of another namespace would mislead."""
    _process(root, os.getpid(), 5)
    name = Path("/proc/self/comm").read_text().strip()

    (named,) = ModeFiles(str(root), same_pids=True).find_processes()
    (unnamed,) = ModeFiles(str(root), same_pids=False).find_processes()
    assert str(named) == f"{name} (PID {os.getpid()})"
    assert str(unnamed) == f"PID {os.getpid()} of the node"


def test_who_has_kfd_open_is_found(root: Path, tmp_path: Path) -> None:
    """By the open files that proc shows, and not at all in another namespace."""
    (tmp_path / "kfd").touch()
    with (tmp_path / "kfd").open():
        found = ModeFiles(str(root), dev_root=str(tmp_path), same_pids=True).find_openers()
        hidden = ModeFiles(str(root), dev_root=str(tmp_path), same_pids=False).find_openers()

    assert [process.pid for process in found] == [os.getpid()]
    assert hidden == ()

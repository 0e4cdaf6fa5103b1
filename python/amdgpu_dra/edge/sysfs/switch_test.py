"""The mode files as the plugin writes them, and the processes that it finds."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from amdgpu_dra.api.errors import HostError
from amdgpu_dra.core.fakekernel import boot
from amdgpu_dra.core.gpu import PciAddress
from amdgpu_dra.core.switch import KfdProcess, Outcome
from amdgpu_dra.edge.fakekernel import Node, mount, unmount, why_no_kernel
from amdgpu_dra.edge.faketree import read_fleet
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


@contextmanager
def _kernel(folder: Path, fleet: str) -> Iterator[Node]:
    node = Node(boot(read_fleet(fleet)))
    folder.mkdir()
    thread = mount(node, str(folder))
    try:
        yield node
    finally:
        node.close()
        unmount(str(folder))
        thread.join()


@pytest.mark.skipif(bool(why_no_kernel()), reason=f"a fake kernel: {why_no_kernel()}")
@pytest.mark.parametrize(
    ("fleet", "line", "mode", "outcome"),
    [
        ("mi350x-8-spx", "delay 0", "CPX", Outcome.DONE),
        ("mi350x-8-spx", f"hold 77 {ADDRESS}", "CPX", Outcome.BUSY),
        ("mi350x-8-spx", "delay 0", "TPX", Outcome.ILLEGAL),
        ("mi350x-8-spx", f"reset {ADDRESS} on", "CPX", Outcome.RESETTING),
        ("mi350x-8-spx", f"fail {ADDRESS} eio", "CPX", Outcome.FAILED),
        ("mi350x-8-spx", f"unplug {ADDRESS}", "CPX", Outcome.GONE),
        ("mi350x-vf", "delay 0", "CPX", Outcome.DENIED),
    ],
    ids=str,
)
def test_what_a_kernel_answers_has_its_outcome(
    tmp_path: Path, fleet: str, line: str, mode: str, outcome: Outcome
) -> None:
    """What a write can fail with is told apart, and the file is closed."""
    with _kernel(tmp_path / "sys", fleet) as node:
        node.obey(line)
        address = node.kernel.fleet.gpus[0].address
        before = os.listdir("/proc/self/fd")
        assert ModeFiles(str(tmp_path / "sys")).write_mode(address, mode) is outcome
        assert os.listdir("/proc/self/fd") == before


def test_an_unknown_errno_is_told(root: Path) -> None:
    """As of a file that is none of sysfs."""
    file = root / FOLDER / "current_compute_partition"
    file.unlink()
    file.symlink_to("/dev/full")
    with pytest.raises(HostError, match="found ENOSPC"):
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

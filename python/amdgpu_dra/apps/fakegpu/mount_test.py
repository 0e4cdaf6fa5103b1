"""The fake kernel as a process: what the tree does under writes, and how its life ends."""

import errno
import os
import signal
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from amdgpu_dra.api.errors import HostError
from amdgpu_dra.apps.fakegpu.__main__ import main
from amdgpu_dra.core.gpu import parse
from amdgpu_dra.edge.fakekernel import RefusedError
from amdgpu_dra.edge.sysfs import fingerprint, read_tree
from amdgpu_dra.testing.fakekernel import Mounted, mounted

FLEET = "mi300x-8-spx"
FIRST, SECOND = "0000:05:00.0", "0000:26:00.0"


@pytest.fixture
def node() -> Iterator[Mounted]:
    """Eight MI300X."""
    with mounted(FLEET) as found:
        yield found


def _partitions(node: Mounted) -> list[int]:
    inventory = parse(read_tree(str(node.sys)))
    assert inventory.problems == ()
    return [len(gpu.partitions) for gpu in inventory.gpus]


def _errno(node: Mounted, gpu: str, mode: str) -> int | None:
    with pytest.raises(OSError, match="Errno") as caught:
        node.write_mode(gpu, mode)
    return caught.value.errno


def _mode_file(node: Mounted, gpu: str) -> Path:
    return node.sys / "bus/pci/devices" / gpu / "current_compute_partition"


def test_a_written_mode_is_what_the_tree_shows(node: Mounted) -> None:
    """After `CPX` the GPU has eight partitions, others one; cards stay; the generation rose by nine."""
    cards = sorted(os.listdir(node.dev / "dri"))
    before = int((node.sys / "class/kfd/kfd/topology/generation_id").read_text())

    node.write_mode(SECOND, "cpx")

    assert _partitions(node) == [1, 8, 1, 1, 1, 1, 1, 1]
    assert int((node.sys / "class/kfd/kfd/topology/generation_id").read_text()) == before + 9
    assert sorted(os.listdir(node.dev / "dri")) == cards


def test_files_have_the_modes_of_sysfs(node: Mounted) -> None:
    """One page each, 0644 what can be written, 0444 the rest, which even root cannot open for writing or make."""
    found = _mode_file(node, FIRST).stat()
    assert (stat.S_IMODE(found.st_mode), found.st_size) == (0o644, 4096)
    vendor = _mode_file(node, FIRST).with_name("vendor")
    assert stat.S_IMODE(vendor.stat().st_mode) == 0o444
    for path in (vendor, vendor.with_name("new")):
        with pytest.raises(PermissionError):
            path.write_text("x")
    assert sorted(os.listdir(node.sys)) == ["bus", "class", "devices", "module"]


def test_folders_list_what_is_in_them(node: Mounted) -> None:
    """The root can be listed, and KFD's folder of processes stands in its parent while there is none."""
    assert {"bus", "class", "devices", "module"} <= set(os.listdir(node.sys))
    assert "proc" in os.listdir(f"{node.sys}/class/kfd/kfd")
    assert os.listdir(f"{node.sys}/class/kfd/kfd/proc") == []


def test_a_switch_holds_up_its_own_gpu_only(node: Mounted) -> None:
    """While one GPU is being switched its nodes are gone, other files are read and another GPU is switched."""
    node.control.send("delay 3600")
    first = threading.Thread(target=node.write_mode, args=(FIRST, "DPX"))
    first.start()
    node.control.send(f"await {FIRST}")
    inventory = parse(read_tree(str(node.sys), without_modes={FIRST}))
    assert [len(gpu.partitions) for gpu in inventory.gpus] == [0, 1, 1, 1, 1, 1, 1, 1]

    second = threading.Thread(target=node.write_mode, args=(SECOND, "QPX"))
    second.start()
    node.control.send(f"await {SECOND}")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(_mode_file(node, FIRST).read_text()))
    reader.start()
    node.control.send("finish")
    for thread in (first, second, reader):
        thread.join()

    assert read == ["DPX\n"]
    assert _partitions(node)[:3] == [2, 4, 1]


def test_writes_are_refused_as_the_kernel_refuses_them(node: Mounted) -> None:
    """EINVAL for no mode, EBUSY for a held GPU, EIO when KFD does not come back; the same mode is no switch."""
    assert _errno(node, FIRST, "TPX") == _errno(node, FIRST, "?") == errno.EINVAL
    node.control.send("busy gpu")
    node.control.send(f"hold 4711 {FIRST}")
    assert list((node.sys / "class/kfd/kfd/proc/4711").glob("vram_*"))
    assert _errno(node, FIRST, "CPX") == errno.EBUSY
    node.write_mode(FIRST, "SPX")
    node.write_mode(SECOND, "DPX")
    node.control.send("busy node")
    assert _errno(node, SECOND, "SPX") == errno.EBUSY
    node.control.send("release 4711")
    node.control.send(f"fail {SECOND} eio")
    assert _errno(node, SECOND, "CPX") == errno.EIO
    assert len(parse(read_tree(str(node.sys))).gpus[1].partitions) == 0
    node.write_mode(SECOND, "SPX")
    assert _partitions(node) == [1] * 8


def test_an_unplugged_gpu_takes_its_device_nodes_along(node: Mounted) -> None:
    """Its folder, its nodes and its eight render nodes are gone, and are back when it is."""
    node.control.send(f"unplug {FIRST}")
    assert len(parse(read_tree(str(node.sys))).gpus) == 7
    assert not (node.dev / "dri/renderD128").exists()
    node.control.send(f"plug {FIRST}")
    assert _partitions(node) == [1] * 8
    assert stat.S_ISCHR((node.dev / "dri/renderD128").stat().st_mode)


def test_a_line_that_says_nothing_is_told_what_would(node: Mounted) -> None:
    """An unknown word and an unknown GPU are refused, and the state stays."""
    before = node.control.state()
    for line in ("explode", "unplug 0000:ff:00.0", "ras x"):
        with pytest.raises(RefusedError, match="expected"):
            node.control.send(line)
    assert node.control.state() == before


def test_a_second_kernel_on_the_folder_is_refused(node: Mounted, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what is there, and the first one goes on with all its device nodes."""
    devices = sorted(os.listdir(node.dev / "dri"))
    assert main(["mount", f"--fleet={FLEET}", f"--at={node.at}"]) == 2
    assert "a mount that answers" in capsys.readouterr().err
    assert sorted(os.listdir(node.dev / "dri")) == devices
    node.write_mode(FIRST, "CPX")


def test_a_folder_of_others_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Mounting in a folder that holds something else is refused before anything is written."""
    (tmp_path / "mine").write_text("x")
    assert main(["mount", f"--fleet={FLEET}", f"--at={tmp_path}"]) == 2
    assert "holds something else" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["mine"]


def test_a_dead_kernel_is_an_error_until_it_is_mounted_again(node: Mounted) -> None:
    """After SIGKILL readers get ENOTCONN and no tree; the next start takes that mount away; a stop leaves none."""
    alive = fingerprint(str(node.sys))
    node.stop(signal.SIGKILL)
    with pytest.raises(OSError, match="not connected"):
        os.listdir(node.sys)
    with pytest.raises(HostError, match="not connected"):
        read_tree(str(node.sys))
    assert fingerprint(str(node.sys)) != alive

    node.start()
    assert fingerprint(str(node.sys)) == alive
    assert node.stop() == 0
    assert not os.path.ismount(node.sys)
    with pytest.raises(HostError, match="an empty folder"):
        read_tree(str(node.sys))


def test_a_kernel_that_dies_while_it_is_read_gives_no_tree(node: Mounted, tmp_path: Path) -> None:
    """A root of which one part still answers is refused as a whole: half a tree would take GPUs away."""
    (tmp_path / "class").mkdir()
    for part in ("bus", "devices", "module"):
        (tmp_path / part).symlink_to(node.sys / part)
    assert parse(read_tree(str(tmp_path))).gpus
    node.stop(signal.SIGKILL)
    with pytest.raises(HostError, match="does not answer"):
        read_tree(str(tmp_path))

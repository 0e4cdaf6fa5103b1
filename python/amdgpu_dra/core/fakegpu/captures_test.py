"""Captures of real nodes judge both sides: what is parsed from them, and what is rendered for them."""

from pathlib import Path

import pytest

from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.core.gpu import PciAddress, parse
from amdgpu_dra.edge.faketree import read_fleet, write_tree
from amdgpu_dra.edge.sysfs import read_tree
from amdgpu_dra.testing.shared import shared_folder, unpack

# Files of the capture that no fleet renders, and why.
NOT_RENDERED = {
    "used_memory": "written only by the out-of-tree driver, and changes from second to second",
    "caches": "described by nothing that we read; caches_count is rendered",
    "system_properties": "ids of the firmware's vendor",
    "generation_id": "counts what happened since boot",
}


@pytest.fixture(name="mi308x")
def _mi308x(tmp_path: Path) -> Path:
    """A sysfs root that holds only KFD, of the MI308X capture."""
    capture = unpack(shared_folder("captures") / "mi308x-cpx-nps4.tar.xz", tmp_path / "capture")
    root = tmp_path / "sys" / "class" / "kfd" / "kfd"
    root.mkdir(parents=True)
    (next(capture.glob("*/topology"))).rename(root / "topology")
    return tmp_path / "sys"


def test_kfd_alone_gives_every_partition(mi308x: Path) -> None:
    """KFD alone gives 32 partitions of 8 GPUs with parents, links and NUMA nodes, and nothing that only PCI knows."""
    inventory = parse(read_tree(str(mi308x), every_link=True))

    assert [len(gpu.partitions) for gpu in inventory.gpus] == [4] * 8
    assert [str(gpu.address) for gpu in inventory.gpus] == [
        f"{domain:04x}:{bus:02x}:00.0"
        for domain, buses in ((0, (0x0A, 0x80, 0xA4, 0xC8)), (1, (0x0B, 0x81, 0xA5, 0xC9)))
        for bus in buses
    ]
    assert [gpu.numa_node for gpu in inventory.gpus] == [0] * 4 + [1] * 4
    assert all(gpu.pcie_root is None and gpu.compute_mode is None and not gpu.has_pci for gpu in inventory.gpus)
    part = inventory.gpus[0].partitions[3]
    assert (part.memory, part.compute_units, part.gfx_target) == (51522830336, 20, "gfx942")
    peers = {link.peer for link in part.links if link.kind == "xgmi"}
    assert len(peers) == 31
    assert (PciAddress(1, 0xC9, 0), 3) in peers


def test_fleet_of_the_capture_renders_the_capture(mi308x: Path, tmp_path: Path) -> None:
    """Every properties, gpu_id, mem_banks and link file is the captured one, byte by byte."""
    write_tree(render(read_fleet("mi308x-8-cpx-nps4")), tmp_path / "fake", nodes=False)

    topology = Path("class/kfd/kfd/topology")
    captured = mi308x / topology
    compared = 0
    for path in sorted(captured.rglob("*")):
        relative = path.relative_to(captured)
        if path.is_file() and not NOT_RENDERED.keys() & set(relative.parts):
            fake = tmp_path / "fake" / "sys" / topology / relative
            assert path.read_text() == fake.read_text(), relative
            compared += 1
    assert compared > 34 * 34


def test_virtual_function_of_a_capture(tmp_path: Path) -> None:
    """The MI350X capture, laid into a tree, is found; and its fleet renders the captured files."""
    capture = unpack(shared_folder("captures") / "mi350x-vf-spx-nps1.tar.xz", tmp_path / "capture")
    (data,) = capture.rglob("mi350x_vf")
    root = tmp_path / "tree"
    write_tree(render(read_fleet("mi350x-vf")), root, nodes=False)
    sys = root / "sys"
    node, pci = sys / "class/kfd/kfd/topology/nodes/1", sys / "bus/pci/devices/0000:83:00.0"

    pairs = {
        data / "kfd/gpu_id_node1": node / "gpu_id",
        data / "kfd/properties_node1": node / "properties",
        data / "kfd/mem_bank0_node1_properties": node / "mem_banks/0/properties",
        data / "device/current_compute_partition": pci / "current_compute_partition",
        data / "device/unique_id": pci / "unique_id",
        data / "device/mem_info_vram_total": pci / "mem_info_vram_total",
        data / "device/subsystem_device": pci / "subsystem_device",
    }
    for real, fake in pairs.items():
        assert real.read_text() == fake.read_text(), real.name
        fake.write_bytes(real.read_bytes())
    (gpu,) = parse(read_tree(str(sys))).gpus
    assert (str(gpu.address), gpu.device_id, gpu.unique_id) == ("0000:83:00.0", "0x75b0", "00c0ffee00c0ffee")
    assert gpu.partitions[0].render is not None
    assert gpu.partitions[0].render.minor == 129

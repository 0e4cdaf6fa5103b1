"""Named nodes: the numbering and the faults of real ones."""

from dataclasses import replace

import pytest

from amdgpu_dra.core.devices import describe, list_devices
from amdgpu_dra.core.fakegpu import FleetError, decode_fleet, render
from amdgpu_dra.core.gpu import Inventory, parse
from amdgpu_dra.core.models import MODELS
from amdgpu_dra.edge.faketree import bundled_fleets, read_fleet

PARTITIONS = {
    "mi100-4": [1] * 4,
    "mi210-8": [1] * 8,
    "mi250-8": [1] * 8,
    "mi250x-8": [1] * 8,
    "mi300a-4": [1, 1, 3, 6],
    "mi300x-8-63": [8] * 7 + [7],
    "mi300x-8-broken": [1, 0, 1, 1, 1, 1, 1, 1],
    "mi300x-8-cpx": [8] * 8,
    "mi300x-8-mixed": [8] * 4 + [1] * 4,
    "mi300x-8-spx": [1] * 8,
    "mi300x-hf-8": [1] * 8,
    "mi300x-vf": [1],
    "mi308x-8-cpx-nps4": [4] * 8,
    "mi308x-hf-8": [2] * 8,
    "mi325x-8": [1] * 8,
    "mi350x-8-cpx-nps2": [8] * 8,
    "mi350x-8-spx": [1] * 8,
    "mi350x-vf": [1],
    "mi355x-8": [1] * 8,
    "rx7900xtx-6": [1] * 6,
    "rx9070xt-1": [1],
    "strix-halo": [1],
    "v620-2": [1] * 2,
    "v710-vf": [1],
    "vendor-mixed": [1] * 2,
    "w7900-4": [1] * 4,
}


def test_every_bundled_fleet_is_known_here() -> None:
    """A fleet that is added is given its expectation too."""
    assert sorted(PARTITIONS) == bundled_fleets()


@pytest.mark.parametrize("name", PARTITIONS)
def test_fleet_has_its_partitions(name: str) -> None:
    """Each bundled fleet gives the partitions that its first line promises."""
    inventory = parse(render(read_fleet(name)))

    assert PARTITIONS[name] == [len(gpu.partitions) for gpu in inventory.gpus]


def test_broken_fleet_names_what_each_fault_costs() -> None:
    """Four faults cost one GPU, one NUMA node, one render node and one product name, and say so."""
    inventory = parse(render(read_fleet("mi300x-8-broken")))

    gpus = {str(gpu.address): gpu for gpu in inventory.gpus}
    assert gpus["0000:26:00.0"].partitions == ()
    assert gpus["0000:46:00.0"].numa_node == 0  # KFD's CPU link still knows it
    assert gpus["0000:65:00.0"].partitions[0].render is None
    assert gpus["0000:85:00.0"].product_name is None
    assert {problem.costs for problem in inventory.problems} == {
        "the device of KFD node 3",
        "GPU 0000:26:00.0",
        "numaNode of GPU 0000:46:00.0",
        "partition 0 of GPU 0000:65:00.0",
        "productName of GPU 0000:85:00.0",
    }


def test_older_kernels_name_partitions_with_a_dot() -> None:
    """Both spellings of the XCP folders lead to the same nodes."""
    fleet = read_fleet("mi300x-8-cpx")
    dotted = decode_fleet(
        {
            "name": "dotted",
            "kernel": "6.8",
            "numa": [{"cores": 1, "memory": 1}],
            "gpus": [{"address": "0000:05:00.0", "model": "MI300X", "unique_id": 1, "compute": "CPX"}],
        }
    )

    assert "devices/platform/amdgpu_xcp_0/modalias" in render(fleet).files
    assert "devices/platform/amdgpu_xcp.0/modalias" in render(dotted).files
    (gpu,) = parse(render(dotted)).gpus
    assert [part.render and part.render.minor for part in gpu.partitions] == list(range(128, 136))


def test_every_wrong_field_of_a_fleet_is_told() -> None:
    """All errors come at once, each with its path, what was expected and what was found."""
    with pytest.raises(FleetError) as caught:
        decode_fleet(
            {
                "name": "",
                "colour": "red",
                "numa": [{"cores": "many", "memory": 1}],
                "gpus": [{"address": "5:0", "model": "MI300Z", "unique_id": -1, "numa": 3}],
            }
        )

    paths = [error.split(":")[0] for error in caught.value.errors]
    assert paths == [
        "numa[0].cores",
        "name",
        "gpus[0].model",
        "gpus[0].address",
        "gpus[0].unique_id",
        "colour",
        "gpus[0].numa",
    ]


def _inventory(fleet: str) -> Inventory:
    return parse(render(read_fleet(fleet)))


def test_every_model_has_a_fleet() -> None:
    """A row that is added is given a fleet too, and each fleet is read back without a problem unless it is broken."""
    shown = {gpu.model for name in bundled_fleets() for gpu in read_fleet(name).gpus}

    assert shown == MODELS.keys()
    assert {name for name in bundled_fleets() if _inventory(name).problems} == {"mi300x-8-broken"}


def test_an_apu_uses_the_memory_of_its_host() -> None:
    """An MI300A gives out its NUMA node's part of half the host's memory, a Strix Halo that half; both say so."""
    apus, halo = _inventory("mi300a-4"), _inventory("strix-halo")
    part = 134853951488 // 2

    assert [gpu.address.domain for gpu in apus.gpus] == [gpu.numa_node for gpu in apus.gpus] == [0, 1, 2, 3]
    assert [[p.memory for p in gpu.partitions] for gpu in apus.gpus] == [
        [part // count // 4096 * 4096] * count for count in (1, 1, 3, 6)
    ]
    assert halo.gpus[0].partitions[0].memory == 131072000000 // 2
    assert halo.gpus[0].vram == 536870912
    assert halo.gpus[0].unique_id is None
    assert all(p.unified_memory for gpu in (*apus.gpus, *halo.gpus) for p in gpu.partitions)
    assert not any(p.unified_memory for gpu in _inventory("mi250x-8").gpus for p in gpu.partitions)


def _weights(fleet: str) -> list[set[tuple[str, int]]]:
    """Of the first GPU's first partition: kinds and weights of links to its CPU, other partitions, other GPUs."""
    gpu = _inventory(fleet).gpus[0]
    links = gpu.partitions[0].links
    own = [link for link in links if link.peer is not None and link.peer[0] == gpu.address]
    far = [link for link in links if link.peer is not None and link.peer[0] != gpu.address]
    cpu = [link for link in links if link.numa_node is not None]
    return [{(link.kind, link.weight) for link in group} for group in (cpu, own, far)]


@pytest.mark.parametrize(
    ("fleet", "cpu", "own", "far"),
    [
        ("mi300x-8-spx", {("pcie", 20), ("pcie", 52)}, set(), {("xgmi", 15)}),
        ("mi300x-8-cpx", {("pcie", 20), ("pcie", 52)}, {("xgmi", 13)}, {("xgmi", 41)}),
        ("mi308x-8-cpx-nps4", {("pcie", 20), ("pcie", 41)}, {("xgmi", 13)}, {("xgmi", 41)}),
        ("mi300a-4", {("xgmi", 13), ("xgmi", 45)}, set(), {("xgmi", 15)}),
        ("mi250x-8", {("xgmi", 15), ("xgmi", 47)}, set(), {("xgmi", 15), ("xgmi", 30)}),
        ("mi210-8", {("pcie", 20), ("pcie", 52)}, set(), {("xgmi", 15), ("pcie", 72)}),
        ("rx7900xtx-6", {("pcie", 20), ("pcie", 52)}, set(), {("pcie", 40), ("pcie", 72)}),
    ],
)
def test_links_have_the_weights_of_the_kernel(
    fleet: str, cpu: set[tuple[str, int]], own: set[tuple[str, int]], far: set[tuple[str, int]]
) -> None:
    """Kind and weight tell CPU, partition, hive, package and PCIe apart as kfd_crat.c writes them."""
    assert _weights(fleet) == [cpu, own, far]


def test_cpu_nodes_of_apus_are_in_the_hive() -> None:
    """KFD writes the hive of an MI300A at its CPU node too, and no hive at the CPU nodes of a PCIe host."""
    joined, apart = (render(read_fleet(name)).files for name in ("mi300a-4", "mi300x-8-spx"))
    path = "devices/virtual/kfd/kfd/topology/nodes/0/properties"

    assert "hive_id 9034655720432782706\n" in str(joined[path])
    assert "hive_id 0\n" in str(apart[path])


def test_no_file_of_another_vendor_is_taken() -> None:
    """Beside NVIDIA, Intel, a board and an MI300X on vfio, only the MI210 are GPUs, with files of their own."""
    mixed = _inventory("vendor-mixed")

    assert [str(gpu.address) for gpu in mixed.gpus] == ["0000:43:00.0", "0000:63:00.0"]
    assert {gpu.device_id for gpu in mixed.gpus} == {"0x740f"}
    assert mixed.driver_version == "6.12.12"
    assert [part.render and part.render.minor for gpu in mixed.gpus for part in gpu.partitions] == [132, 133]
    assert [part.card and part.card.minor for gpu in mixed.gpus for part in gpu.partitions] == [5, 6]


def test_a_model_that_stands_in_no_row_is_a_whole_gpu() -> None:
    """With an id that nobody knows a GPU is published with everything that sysfs says; only its model is not named."""
    tree = render(read_fleet("rx9070xt-1"))
    strange = {path: "0x9999\n" if path.endswith("/device") else text for path, text in tree.files.items()}
    (device,) = list_devices(parse(replace(tree, files=strange))).devices
    described, refused = describe(device)

    assert refused == ()
    assert described.attributes["type"] == "amdgpu"
    assert described.attributes["gfxTarget"] == "gfx1201"
    assert described.attributes["deviceID"] == "0x9999"
    assert "model" not in described.attributes
    assert described.capacity["memory"] == (16 << 30) - (16 << 20)

"""Named nodes: the numbering and the faults of real ones."""

import pytest

from amdgpu_dra.core.fakegpu import FleetError, decode_fleet, render
from amdgpu_dra.core.gpu import parse
from amdgpu_dra.edge.faketree import bundled_fleets, read_fleet

PARTITIONS = {
    "mi210-8": [1] * 8,
    "mi300x-8-63": [8] * 7 + [7],
    "mi300x-8-broken": [1, 0, 1, 1, 1, 1, 1, 1],
    "mi300x-8-cpx": [8] * 8,
    "mi300x-8-mixed": [8] * 4 + [1] * 4,
    "mi300x-8-spx": [1] * 8,
    "mi308x-8-cpx-nps4": [4] * 8,
    "mi350x-8-spx": [1] * 8,
    "mi350x-vf": [1],
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

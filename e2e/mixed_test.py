"""A node of four GPUs in CPX and four whole ones, as its administrator left it: no mode is ever changed."""

from collections.abc import Iterator

import pytest
from harness import (
    TREES,
    Cluster,
    allocated_devices,
    apply_scenario,
    install_driver,
    read_report,
    remove_driver,
    render_minors,
)

from amdgpu_dra.core.devices import list_devices
from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.core.gpu import parse
from amdgpu_dra.edge.faketree import read_fleet

FLEET = read_fleet("mi300x-8-mixed")
DEVICES = {device.name: device for device in list_devices(parse(render(FLEET))).devices}
pytestmark = pytest.mark.usefixtures("driver")


@pytest.fixture(name="driver", scope="module")
def _driver(cluster: Cluster) -> Iterator[None]:
    """The chart, on the mixed node."""
    install_driver(cluster, f"{TREES}/{FLEET.name}")
    yield
    remove_driver(cluster)


def test_slices_show_whole_gpus_before_partitions(cluster: Cluster) -> None:
    """Four whole GPUs come first, then 32 partitions; the API server keeps the order."""
    items = sorted(cluster.get("resourceslices"), key=lambda item: item["metadata"]["name"])
    devices = [device for item in items for device in item["spec"]["devices"]]

    assert list(DEVICES) == [device["name"] for device in devices]
    assert [device["attributes"]["type"]["string"] for device in devices] == ["amdgpu"] * 4 + ["amdgpu-partition"] * 32


def test_whole_gpus_and_partitions_side_by_side(cluster: Cluster, namespace: str) -> None:
    """A pod of a whole GPU and one of eight partitions of one GPU each see their own render nodes and no other."""
    apply_scenario(cluster, namespace, "whole-and-partitions")
    whole = read_report(cluster, namespace, "whole")
    parts = read_report(cluster, namespace, "eight-partitions")
    names = allocated_devices(cluster, namespace)
    (whole_claim,) = [devices for claim, devices in names.items() if claim.startswith("whole")]
    (parts_claim,) = [devices for claim, devices in names.items() if claim.startswith("eight")]

    assert [DEVICES[name].is_whole for name in whole_claim] == [True]
    assert len({DEVICES[name].gpu.address for name in parts_claim}) == 1
    assert len(parts_claim) == 8
    for report, claim in ((whole, whole_claim), (parts, parts_claim)):
        renders = [DEVICES[name].partition.render for name in claim]
        assert sorted(node.minor for node in renders if node is not None) == render_minors(report)

"""AMD's names for devices, beside their own."""

import re
from dataclasses import replace

import pytest
from hypothesis import given

from amdgpu_dra.core.devices import AMD_NAMES, Layout, describe, list_devices
from amdgpu_dra.core.fakegpu import FleetSpec, render
from amdgpu_dra.core.gpu import parse
from amdgpu_dra.edge.faketree import read_fleet
from amdgpu_dra.testing.strategies import fleets

AMD = Layout(names=AMD_NAMES)


@given(fleets())
def test_amd_names_are_those_of_the_nodes_and_change_nothing_else(fleet: FleetSpec) -> None:
    """`gpu-<card>-<renderD>` of each device's own nodes, each once; all else of a device is as with PCI names."""
    inventory = parse(render(fleet))
    listing, plain = list_devices(inventory, AMD), list_devices(inventory)

    assert len({device.published for device in listing.devices}) == len(listing.devices)
    for device, bare in zip(listing.devices, plain.devices, strict=True):
        found = re.fullmatch(r"gpu-(\d+)-(\d+)", device.published)
        assert found is not None
        assert {f"dri/card{found[1]}", f"dri/renderD{found[2]}"} < {node.path for node in device.nodes}
        assert replace(device, alias="") == bare
        assert replace(describe(device)[0], name=bare.name) == describe(bare)[0]
        assert listing.find_published(device.published) is listing.find(bare.name) is device


@pytest.mark.parametrize(
    ("fleet", "names"),
    [
        ("mi300x-8-spx", ["gpu-0-128", "gpu-8-136"]),
        ("mi300x-8-cpx", ["gpu-0-128", "gpu-1-129"]),
    ],
)
def test_names_of_a_fleet(fleet: str, names: list[str]) -> None:
    """As AMD's driver names the same nodes."""
    listing = list_devices(parse(render(read_fleet(fleet))), AMD)

    assert [device.published for device in listing.devices][:2] == names


def test_without_a_card_a_device_has_its_own_name() -> None:
    """It can be used, so it is not withheld for want of a name."""
    inventory = parse(render(read_fleet("mi300x-8-spx")))
    gpu = inventory.gpus[0]
    bare = replace(gpu, partitions=tuple(replace(part, card=None) for part in gpu.partitions))
    listing = list_devices(replace(inventory, gpus=(bare,)), AMD)

    assert [device.published for device in listing.devices] == ["gpu-0000-05-00-0"]

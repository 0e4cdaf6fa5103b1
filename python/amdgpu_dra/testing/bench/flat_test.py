"""The fleet of the flatness benchmark."""

from amdgpu_dra.core.devices import list_devices
from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.core.gpu import parse
from amdgpu_dra.testing.bench.flat import fleet_of_64


def test_it_has_512_partitions() -> None:
    """All are offered: the numbers of DRM devices run on past the kernel's legacy ones."""
    tree = render(fleet_of_64())
    listing = list_devices(parse(tree))

    assert (len(listing.devices), listing.withheld) == (512, ())
    assert len({device.nodes for device in listing.devices}) == 512

"""What a real API server makes of slices: those of every fleet are taken as they are, nothing dropped."""

import json

from harness import Cluster
from hypothesis import given, settings

from amdgpu_dra.api.resource import Device, ResourceSlice, decode_slice, encode_slice
from amdgpu_dra.core.devices import describe, list_devices
from amdgpu_dra.core.fakegpu import FleetSpec, render
from amdgpu_dra.core.gpu import parse
from amdgpu_dra.core.slices import build_slices
from amdgpu_dra.edge.faketree import bundled_fleets, read_fleet
from amdgpu_dra.testing.strategies import fleets

_UID = "00000000-0000-0000-0000-000000000000"


def _slices(fleet: FleetSpec) -> tuple[ResourceSlice, ...]:
    """The slices of a node with this fleet, as they would be created."""
    listing = list_devices(parse(render(fleet)))
    devices: tuple[Device, ...] = tuple(describe(device)[0] for device in listing.devices)
    return build_slices(devices, node="node", node_uid=_UID)


def _dry_run(cluster: Cluster, slices: tuple[ResourceSlice, ...]) -> list[ResourceSlice]:
    """The slices as the server would store them. Raises CommandError where it refuses one."""
    objects = {"apiVersion": "v1", "kind": "List", "items": [encode_slice(item) for item in slices]}
    text = cluster.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", text=json.dumps(objects))
    stored = json.loads(text)
    return [decode_slice(item) for item in (stored["items"] if stored["kind"] == "List" else [stored])]


def _check(cluster: Cluster, slices: tuple[ResourceSlice, ...]) -> None:
    stored = _dry_run(cluster, slices)

    assert [item.devices for item in slices] == [item.devices for item in stored]
    assert [item.shared_counters for item in slices] == [item.shared_counters for item in stored]


def test_the_server_takes_the_slices_of_every_bundled_fleet(cluster: Cluster) -> None:
    """Each slice passes the server's validation, and comes back as it was sent."""
    for name in bundled_fleets():
        _check(cluster, _slices(read_fleet(name)))


def test_the_server_takes_the_slices_of_any_fleet(cluster: Cluster) -> None:
    """The same for generated fleets."""

    @settings(max_examples=15)
    @given(fleets())
    def each(fleet: FleetSpec) -> None:
        _check(cluster, _slices(fleet))

    each()

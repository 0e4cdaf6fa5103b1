"""What a real API server makes of slices: those of every fleet are taken as they are, nothing dropped."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from harness import Cluster
from hypothesis import given, settings
from hypothesis import strategies as st

from amdgpu_dra.api.resource import Device, ResourceSlice, decode_slice, encode_slice
from amdgpu_dra.core.devices import STATIC, Layout, describe, list_devices
from amdgpu_dra.core.fakegpu import FleetSpec, render
from amdgpu_dra.core.gpu import Inventory, parse
from amdgpu_dra.core.slices import build_slices
from amdgpu_dra.edge.faketree import bundled_fleets, read_fleet
from amdgpu_dra.testing.strategies import fleets

_UID = "00000000-0000-0000-0000-000000000000"


def _slices(fleet: FleetSpec, layout: Layout) -> tuple[ResourceSlice, ...]:
    """The slices of a node with this fleet, as they would be created."""
    return _slices_of(parse(render(fleet)), layout)


def _slices_of(inventory: Inventory, layout: Layout) -> tuple[ResourceSlice, ...]:
    listing = list_devices(inventory, layout)
    devices: tuple[Device, ...] = tuple(describe(device)[0] for device in listing.devices)
    return build_slices(devices, listing.counter_sets, node="node", node_uid=_UID)


def _blocked(fleet: FleetSpec) -> Layout:
    """Every partition of every mode, with a taint on those of other modes than now."""
    return Layout(dynamic=True, blocked={gpu.address: "SwitchBlocked" for gpu in fleet.gpus})


def _dry_run(cluster: Cluster, slices: tuple[ResourceSlice, ...]) -> list[ResourceSlice]:
    """The slices as the server would store them. Raises CommandError where it refuses one."""
    objects = {"apiVersion": "v1", "kind": "List", "items": [encode_slice(item) for item in slices]}
    text = cluster.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", text=json.dumps(objects))
    return [decode_slice(item) for item in _objects(text)]


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The objects that kubectl prints one after another, or in a list."""
    decoder = json.JSONDecoder()
    while text := text.lstrip():
        found, end = decoder.raw_decode(text)
        yield from found["items"] if found["kind"] == "List" else [found]
        text = text[end:]


def _check(cluster: Cluster, slices: tuple[ResourceSlice, ...]) -> None:
    stored = _dry_run(cluster, slices)

    assert [item.devices for item in slices] == [item.devices for item in stored]
    assert [item.shared_counters for item in slices] == [item.shared_counters for item in stored]


def test_the_server_takes_the_slices_of_every_bundled_fleet(cluster: Cluster) -> None:
    """Each slice passes the server's validation, and comes back as it was sent: of now, of every mode, and tainted."""
    for name in bundled_fleets():
        fleet = read_fleet(name)
        for layout in (STATIC, Layout(dynamic=True), _blocked(fleet)):
            _check(cluster, _slices(fleet, layout))


def test_the_server_takes_a_node_of_sixteen_gpus(cluster: Cluster) -> None:
    """240 devices in four slices and sixteen counter sets in two: within every limit."""
    eight = parse(render(read_fleet("mi300x-8-spx")))
    more = tuple(replace(gpu, address=replace(gpu.address, domain=1)) for gpu in eight.gpus)
    sixteen = replace(eight, gpus=(*eight.gpus, *more), xcp_nodes=2 * eight.xcp_nodes)
    slices = _slices_of(sixteen, Layout(dynamic=True))

    assert [len(item.devices) for item in slices] == [64, 64, 64, 48, 0, 0]
    assert [len(item.shared_counters) for item in slices] == [0, 0, 0, 0, 8, 8]
    _check(cluster, slices)


def test_the_server_takes_the_slices_of_any_fleet(cluster: Cluster) -> None:
    """The same for generated fleets."""

    @settings(max_examples=15)
    @given(fleets(), st.booleans())
    def each(fleet: FleetSpec, dynamic: bool) -> None:  # noqa: FBT001 - Hypothesis gives it
        _check(cluster, _slices(fleet, Layout(dynamic=dynamic)))

    each()

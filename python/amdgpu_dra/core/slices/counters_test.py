"""Slices with counters: their limits, their names, and what an API server did with them."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.api.resource import CounterConsumption, CounterSet, Device, ResourceSlice, Taint
from amdgpu_dra.core.devices import Layout, describe, list_devices
from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.core.gpu import Inventory, parse
from amdgpu_dra.core.slices import (
    MOST_ADVANCED,
    MOST_DEVICES,
    MOST_SETS,
    build_slices,
    diff_slices,
    find_dropped,
    find_too_old,
    probe_slices,
)
from amdgpu_dra.edge.faketree import read_fleet

SETS = tuple(CounterSet(name=f"set-{i}", counters={"c": Fraction(1)}) for i in range(20))
TAINT = Taint(key="gpu.amd.com/x")


def _device(number: int, takes: int | None, *, taint: bool) -> Device:
    taken = () if takes is None else (CounterConsumption(counter_set=f"set-{takes}", counters={"c": Fraction(1)}),)
    return Device(name=f"gpu-{number}", consumes_counters=taken, taints=(TAINT,) if taint else ())


# Sets 20 and 21 are nobody's.
DEVICES = st.lists(
    st.builds(_device, st.integers(0, 500), st.none() | st.integers(0, 21), taint=st.booleans()), max_size=300
).map(tuple)


def _build(devices: tuple[Device, ...], sets: tuple[CounterSet, ...] = SETS) -> tuple[ResourceSlice, ...]:
    return build_slices(devices, sets, node="n", node_uid="uid")


@given(DEVICES)
def test_slices_keep_every_limit(devices: tuple[Device, ...]) -> None:
    """64 devices beside taints or counters and else 128, eight sets, never both in one, and no unknown counter."""
    slices = _build(devices)
    have = {item.name for part in slices for item in part.shared_counters}
    names = [item.name for item in slices]

    assert names == sorted(names)
    for item in slices:
        advanced = any(device.consumes_counters or device.taints for device in item.devices)
        assert len(item.devices) <= (MOST_ADVANCED if advanced else MOST_DEVICES)
        assert len(item.shared_counters) <= MOST_SETS
        assert not (item.devices and item.shared_counters)
        assert {taken.counter_set for device in item.devices for taken in device.consumes_counters} <= have
    published = [device.name for item in slices for device in item.devices]
    assert published == list(dict.fromkeys(published))
    assert all(item.devices or item.shared_counters for item in slices[1:])


def _node(gpus: int) -> Inventory:
    """A node of so many MI300X in SPX, on a kernel that does not run out of DRM minors."""
    eight = parse(render(read_fleet("mi300x-8-spx")))
    more = [
        replace(gpu, address=replace(gpu.address, domain=domain)) for domain in range(gpus // 8) for gpu in eight.gpus
    ]
    return replace(eight, gpus=tuple(more), xcp_nodes=7 * gpus)


@pytest.mark.parametrize(("gpus", "sizes"), [(8, [64, 56, 8]), (16, [64, 64, 64, 48, 8, 8])])
def test_a_node_of_mi300x_has_few_slices(gpus: int, sizes: list[int]) -> None:
    """8 GPUs are 3 slices and 16 are 6; whole GPUs stand first, counter sets last."""
    listing = list_devices(_node(gpus), Layout(dynamic=True))
    slices = _build(tuple(describe(device)[0] for device in listing.devices), listing.counter_sets)

    assert [len(item.devices) or len(item.shared_counters) for item in slices] == sizes
    first = slices[0].devices[: gpus + 1]
    assert [device.attributes["type"] for device in first] == ["amdgpu"] * gpus + ["amdgpu-partition"]
    assert [bool(item.shared_counters) for item in slices] == [size == MOST_SETS for size in sizes]


def test_a_device_of_unknown_counters_does_not_cost_the_pool() -> None:
    """A set or a counter that nobody has makes the scheduler refuse the whole pool: such a device is left out."""
    wrong_set = _device(0, 99, taint=False)
    wrong_counter = replace(
        wrong_set,
        name="gpu-1",
        consumes_counters=(CounterConsumption(counter_set="set-1", counters={"d": Fraction(1)}),),
    )
    slices = _build((wrong_set, wrong_counter, _device(2, 2, taint=False)))

    assert [device.name for item in slices for device in item.devices] == ["gpu-2"]
    assert [item.name for part in slices for item in part.shared_counters] == ["set-2"]


def test_an_update_keeps_the_time_of_a_taint() -> None:
    """The server's time of a taint that stays is sent back; a taint that is new has none yet."""
    stored = [replace(item, uid="u", resource_version="1") for item in _build((_device(0, None, taint=True),), ())]
    seen = replace(TAINT, time_added="2026-11-25T00:00:00Z")
    have = [replace(item, devices=(replace(item.devices[0], taints=(seen,)),)) for item in stored]
    want = _build((replace(_device(0, None, taint=True), taints=(TAINT, Taint(key="gpu.amd.com/y"))),), ())
    (update,) = diff_slices(want, have).update

    assert [taint.time_added for taint in update.devices[0].taints] == ["2026-11-25T00:00:00Z", ""]
    assert not diff_slices(_build((_device(0, None, taint=True),), ()), [replace(have[0], generation=0)])


def test_a_change_of_counters_is_written() -> None:
    """Another value of a counter is another slice, and both slices of a pool change together."""
    device = _device(0, 0, taint=False)
    have = [replace(item, uid="u", resource_version="1", generation=1) for item in _build((device,))]
    more = replace(SETS[0], counters={"c": Fraction(2)})

    assert not diff_slices(_build((device,)), have)
    actions = diff_slices(_build((device,), (more,)), have)
    assert [item.shared_counters for item in actions.update] == [(more,)]


@pytest.mark.parametrize(
    ("version", "old"),
    [("v1.34.2", True), ("v1.35.0", False), ("v1.37.1+k3s1", False), ("1.33", True), ("unknown", False)],
)
def test_a_server_before_slices_of_counters_is_too_old(version: str, *, old: bool) -> None:
    """1.35 is the first; a version that nobody can read decides nothing."""
    assert (find_too_old(version) is not None) == old


def test_what_a_server_dropped_is_found() -> None:
    """A counter set or a consumption that did not come back means no; both kept means yes."""
    devices, counters = probe_slices(node="n", node_uid="u")

    assert find_dropped(devices, devices) is find_dropped(counters, counters) is None
    assert "sharedCounters" in (find_dropped(counters, replace(counters, shared_counters=())) or "")
    bare = tuple(replace(device, consumes_counters=()) for device in devices.devices)
    assert "consumesCounters" in (find_dropped(devices, replace(devices, devices=bare)) or "")
    assert all(len(item.name) <= 253 for item in probe_slices(node="n" * 253, node_uid="u"))

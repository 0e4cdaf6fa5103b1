"""Slices: built within the limits, and brought to what is wanted by the fewest writes."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.api.resource import Device, ResourceSlice
from amdgpu_dra.core.slices import MOST_DEVICES, Actions, build_slices, diff_slices

NAMES = st.integers(0, 400).map(lambda number: f"gpu-{number}")
DEVICES = st.lists(
    st.builds(Device, name=NAMES, attributes=st.fixed_dictionaries({"a": st.integers(0, 2)})), max_size=300
).map(tuple)
FOREIGN = st.lists(
    st.builds(
        ResourceSlice,
        name=st.sampled_from(["00000-gpu.amd.com-n", "00001-gpu.amd.com-n", "old-slice", "zzz"]),
        driver=st.just("gpu.amd.com"),
        node_name=st.just("n"),
        pool=st.sampled_from(["n", "other"]),
        generation=st.integers(0, 5),
        slice_count=st.integers(1, 3),
        devices=st.lists(st.builds(Device, name=NAMES), max_size=3).map(tuple),
        uid=st.just("u"),
        resource_version=st.just("1"),
    ),
    max_size=4,
    unique_by=lambda item: item.name,
)


def _build(devices: tuple[Device, ...]) -> tuple[ResourceSlice, ...]:
    return build_slices(devices, node="n", node_uid="node-uid")


def _apply(actions: Actions, have: list[ResourceSlice]) -> list[ResourceSlice]:
    """What an API server holds afterwards."""
    kept = {item.name: item for item in have}
    for item in actions.delete:
        del kept[item.name]
    for item in (*actions.update, *actions.create):
        kept[item.name] = replace(item, uid="u", resource_version="2")
    return list(kept.values())


@given(DEVICES)
def test_slices_keep_their_limits(devices: tuple[Device, ...]) -> None:
    """No slice is too large, names are in order, every device is there once, and the count is right."""
    slices = _build(devices)

    assert all(len(item.devices) <= MOST_DEVICES for item in slices)
    assert [item.name for item in slices] == sorted(item.name for item in slices)
    assert {device.name for item in slices for device in item.devices} == {device.name for device in devices}
    assert sum(len(item.devices) for item in slices) == len({device.name for device in devices})
    assert all(item.slice_count == len(slices) for item in slices)


@given(DEVICES, FOREIGN)
def test_the_writes_lead_to_what_is_wanted(devices: tuple[Device, ...], have: list[ResourceSlice]) -> None:
    """From any state, one round of writes gives a complete pool of one generation, and a second round is empty."""
    want = _build(devices)
    after = _apply(diff_slices(want, have), have)

    assert not diff_slices(want, after)
    assert {item.generation for item in after} == {diff_slices(want, have).generation}
    assert sorted(item.name for item in after) == [item.name for item in want]
    assert [item.devices for item in sorted(after, key=lambda item: item.name)] == [item.devices for item in want]


@given(DEVICES, DEVICES)
def test_no_moment_shows_a_mixed_pool(before: tuple[Device, ...], after: tuple[Device, ...]) -> None:
    """After each single write the newest generation is either incomplete, or wholly the old or the new pool."""
    have = _apply(diff_slices(_build(before), []), [])
    want = _build(after)
    actions = diff_slices(want, have)
    pools = [[item.devices for item in pool] for pool in (_build(before), want)]
    writes = [
        *(Actions(delete=(item,)) for item in actions.delete),
        *(Actions(update=(item,)) for item in actions.update),
        *(Actions(create=(item,)) for item in actions.create),
    ]
    for write in writes:
        have = _apply(write, have)
        newest = max((item.generation for item in have), default=0)
        shown = sorted((item for item in have if item.generation == newest), key=lambda item: item.name)
        complete = bool(shown) and len(shown) == shown[0].slice_count
        assert not complete or [item.devices for item in shown] in pools


def test_a_change_of_one_slice_keeps_the_generation() -> None:
    """One write cannot be seen half done, so nobody needs a new generation."""
    have = _apply(diff_slices(_build((Device(name="gpu-0"),)), []), [])
    actions = diff_slices(_build((Device(name="gpu-1"),)), have)

    assert (len(actions.update), len(actions.create), len(actions.delete)) == (1, 0, 0)
    assert actions.generation == have[0].generation


def test_bad_devices_do_not_cost_the_slice() -> None:
    """A device whose name no API server takes, or with too many values, is left out alone."""
    many = Device(name="many", attributes={f"a{i}": i for i in range(33)})
    slices = _build((Device(name="Bad_Name"), many, Device(name="gpu-0"), Device(name="x" * 64)))

    assert [device.name for item in slices for device in item.devices] == ["gpu-0"]


def test_no_device_is_an_empty_slice() -> None:
    """It says that the driver is up."""
    (item,) = _build(())

    assert item.devices == ()


def test_long_node_names_still_give_names() -> None:
    """A node's name may be as long as a slice's."""
    (item,) = build_slices((), node="n" * 253, node_uid="u")

    assert len(item.name) <= 253

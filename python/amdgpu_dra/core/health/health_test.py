"""What presence and readability say of devices."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.core.devices import AMD_NAMES, STATIC, Layout, list_devices
from amdgpu_dra.core.fakegpu import FleetSpec, render
from amdgpu_dra.core.gpu import Inventory, PciAddress, TreeText, Unreadable, parse, paths
from amdgpu_dra.core.health import LONGEST, DeviceHealth, Health, doubt, judge, withdraw
from amdgpu_dra.edge.faketree import read_fleet
from amdgpu_dra.testing.strategies import fleets

SPX = read_fleet("mi300x-8-spx")
DYNAMIC = Layout(dynamic=True)
_READ = (*paths.MODE_FILES, "unique_id", "mem_info_vram_total", "device")
_ERRORS = ("EIO", "ENODEV", "ENXIO", "ETIMEDOUT", "EPERM", "EACCES", "EBUSY", "EINVAL")
_DEAD = frozenset({"EIO", "ENODEV", "ENXIO", "ETIMEDOUT"})


def _look(
    tree: TreeText | Inventory, before: tuple[DeviceHealth, ...] = (), layout: Layout = STATIC
) -> tuple[DeviceHealth, ...]:
    inventory = parse(tree) if isinstance(tree, TreeText) else tree
    return judge(before, inventory, list_devices(inventory, layout))


def _with_error(tree: TreeText, address: PciAddress, file: str, errno: str) -> TreeText:
    path = f"{paths.PCI_DEVICES}/{address}/{file}"
    return replace(tree, files={**tree.files, path: Unreadable(errno=errno)})


def _in_modes(*modes: str) -> TreeText:
    gpus = tuple(replace(gpu, compute=mode) for gpu, mode in zip(SPX.gpus, modes, strict=False))
    return render(replace(SPX, gpus=gpus))


@given(fleets(), st.sampled_from([STATIC, DYNAMIC]))
def test_what_is_published_is_judged(fleet: FleetSpec, layout: Layout) -> None:
    """Of any fleet in both layouts: exactly the listed devices, each once, by name, and all of them healthy."""
    inventory = parse(render(fleet))
    found = _look(inventory, layout=layout)

    assert [item.name for item in found] == sorted(device.name for device in list_devices(inventory, layout).devices)
    assert {(item.health, item.message) for item in found} <= {(Health.HEALTHY, "")}


@given(fleets(), st.sampled_from([STATIC, DYNAMIC]), st.data())
def test_a_gpu_that_goes_takes_its_devices_and_no_others(fleet: FleetSpec, layout: Layout, data: st.DataObject) -> None:
    """Whichever GPUs go: theirs are unhealthy, the rest as before; again the same; all is well when they are back."""
    inventory = parse(render(fleet))
    gone = {gpu.address for gpu in inventory.gpus if data.draw(st.booleans())}
    whole = _look(inventory, layout=layout)
    # Of the inventory, not of the fleet: fewer GPUs leave more DRM minors to the others.
    rest = replace(inventory, gpus=tuple(gpu for gpu in inventory.gpus if gpu.address not in gone))
    listing = list_devices(inventory, layout)
    kept = replace(listing, devices=tuple(item for item in listing.devices if item.gpu.address not in gone))
    less = judge(whole, rest, kept)

    assert [item.name for item in less] == [item.name for item in whole]
    for old, new in zip(whole, less, strict=True):
        if new.gpu in gone:
            assert new.health == Health.UNHEALTHY
            assert str(new.gpu) in new.message
        else:
            assert new == old
    assert judge(less, rest, kept) == less
    assert _look(inventory, less, layout) == whole


@given(fleets(), st.sampled_from([STATIC, DYNAMIC]), st.data())
def test_an_unreadable_gpu_is_not_healthy_and_its_neighbours_are(
    fleet: FleetSpec, layout: Layout, data: st.DataObject
) -> None:
    """Whatever file of a GPU fails with whatever error: what is said of it is never that it is healthy."""
    tree = render(fleet)
    before = _look(tree, layout=layout)
    inventory = parse(tree)
    if not inventory.gpus:
        return
    address = data.draw(st.sampled_from([gpu.address for gpu in inventory.gpus]))
    errno = data.draw(st.sampled_from(_ERRORS))
    hurt = _with_error(tree, address, data.draw(st.sampled_from(_READ)), errno)
    after = _look(hurt, before, layout)

    for item in after:
        assert len(item.message) <= LONGEST
        assert bool(item.message) == (item.health != Health.HEALTHY)
        if item.gpu != address:
            assert item.health == Health.HEALTHY
        else:
            assert item.health != Health.HEALTHY
            assert str(address) in item.message


@given(fleets())
def test_doubt_leaves_nothing_healthy(fleet: FleetSpec) -> None:
    """When nothing can be told every device is unknown, with the reason; names and order stay."""
    before = _look(render(fleet))
    after = doubt(before, "why " * 1000)

    assert [item.name for item in after] == [item.name for item in before]
    assert all(item.health == Health.UNKNOWN and len(item.message) == LONGEST for item in after)


@pytest.mark.parametrize("errno", _ERRORS)
def test_the_error_tells_dead_from_unknown(errno: str) -> None:
    """A GPU that does not answer is unhealthy; a file that may not be read now proves nothing."""
    address = SPX.gpus[0].address
    (first, *rest) = _look(_with_error(render(SPX), address, "mem_info_vram_total", errno), _look(render(SPX)))

    assert first.health == (Health.UNHEALTHY if errno in _DEAD else Health.UNKNOWN)
    assert f"mem_info_vram_total cannot be read: {errno}" in first.message
    assert {item.health for item in rest} == {Health.HEALTHY}


def test_a_dead_file_outweighs_one_that_may_not_be_read() -> None:
    """Of two files of one GPU the worse decides, whichever comes first."""
    address = SPX.gpus[0].address
    tree = _with_error(render(SPX), address, paths.COMPUTE_MODE, "EPERM")
    found = _look(_with_error(tree, address, "unique_id", "EIO"))

    assert found[0].health == Health.UNHEALTHY


def test_a_gpu_in_reset_is_unknown() -> None:
    """Its partitions cannot be told apart for a while, and are withheld: that is not yet a fault."""
    tree = _in_modes("CPX", "SPX")
    address = SPX.gpus[0].address
    found = _look(_with_error(tree, address, paths.COMPUTE_MODE, "EPERM"), _look(tree))

    assert {item.health for item in found if item.gpu == address} == {Health.UNKNOWN}
    assert [item.health for item in found if item.gpu != address] == [Health.HEALTHY]
    assert "UnknownMode" in found[0].message


def test_without_a_driver_all_are_unhealthy() -> None:
    """The message says that it is the driver, and for which GPU."""
    found = _look(TreeText(), _look(render(SPX)))

    assert {item.health for item in found} == {Health.UNHEALTHY}
    assert found[0].message == "GPU 0000:05:00.0: no amdgpu driver is loaded on the node"


def test_a_partition_that_loses_its_render_node_says_so() -> None:
    """Two are withheld, each with its own reason; their neighbours on the same GPU are healthy."""
    inventory = parse(_in_modes("CPX"))
    (gpu,) = inventory.gpus
    parts = tuple(replace(part, render=None if part.index in (3, 5) else part.render) for part in gpu.partitions)
    found = _look(replace(inventory, gpus=(replace(gpu, partitions=parts),)), _look(inventory))

    assert [item.health == Health.UNHEALTHY for item in found] == [index in (3, 5) for index in range(8)]
    for index in (3, 5):
        assert found[index].message.startswith(f"partition {index} of GPU 0000:05:00.0: withheld, NoRenderNode")


def test_a_partition_of_a_mode_that_others_changed_has_gone() -> None:
    """In the layout of now a whole GPU that somebody cut is no longer there, and its partitions are healthy."""
    found = _look(_in_modes("CPX"), _look(_in_modes("SPX")))

    assert [item.health for item in found] == [Health.UNHEALTHY, *[Health.HEALTHY] * 8]
    assert found[0].message == "GPU 0000:05:00.0: is in compute mode CPX and has no device gpu-0000-05-00-0"


def test_candidates_have_the_health_of_their_gpu() -> None:
    """All 15 partitions of an MI300X, those of its other modes too, are unhealthy when it does not answer."""
    tree = _in_modes("SPX", "SPX")
    address = SPX.gpus[0].address
    found = _look(_with_error(tree, address, "unique_id", "EIO"), _look(tree, layout=DYNAMIC), DYNAMIC)

    assert [item.health for item in found] == [Health.UNHEALTHY] * 15 + [Health.HEALTHY] * 15


def test_a_candidate_that_is_no_longer_offered_never_was_there() -> None:
    """As when a cluster turns out to keep no counters: what existed stays, the rest is not spoken of."""
    tree = _in_modes("SPX")
    found = _look(tree, _look(tree, layout=DYNAMIC))

    assert [(item.name, item.health) for item in found] == [("gpu-0000-05-00-0", Health.HEALTHY)]


def test_a_candidate_that_was_there_once_is_remembered() -> None:
    """Partitions that a switch took away and that are then no longer offered have gone: they existed."""
    cut = _look(_in_modes("CPX"), layout=DYNAMIC)
    whole = _look(_in_modes("SPX"), cut, DYNAMIC)
    found = _look(_in_modes("SPX"), whole)

    assert {item.health for item in whole} == {Health.HEALTHY}
    assert [item.health for item in found] == [Health.HEALTHY, *[Health.UNHEALTHY] * 8]


def test_a_name_that_another_device_has_by_now_is_reported_once() -> None:
    """Under AMD's names: after a change of modes the new device has the name, and what was there before has none."""
    amd = Layout(names=AMD_NAMES)
    before = _look(_in_modes("SPX", "SPX"), layout=amd)
    now = _look(_in_modes("CPX", "SPX"), before, amd)
    names = [item.published for item in now]

    assert [item.published for item in before] == ["gpu-0-128", "gpu-8-136"]
    assert len(set(names)) == len(names) == 9
    assert {item.health for item in now} == {Health.HEALTHY}
    # What was withdrawn from a claim is told under the name by which the pod knows it.
    (first, *_) = (item for item in withdraw(before, {"gpu-8-136": "why"}) if item.message)
    assert (first.published, first.health) == ("gpu-8-136", Health.UNHEALTHY)


def test_a_gpu_that_has_gone_is_told_under_its_alias() -> None:
    """The name by which the kubelet asks about it, as long as no other device has that."""
    amd, inventory = Layout(names=AMD_NAMES), parse(_in_modes("SPX", "SPX"))
    now = _look(replace(inventory, gpus=inventory.gpus[1:]), _look(inventory, layout=amd), amd)

    assert [(item.published, item.health) for item in now] == [
        ("gpu-0-128", Health.UNHEALTHY),
        ("gpu-8-136", Health.HEALTHY),
    ]

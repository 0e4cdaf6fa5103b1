"""The dynamic layout: every partition of every legal mode, exact counters, and the order of packing."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.api.resource import Device
from amdgpu_dra.core.devices import BLOCKED_TAINT, Layout, Listing, NodeDevice, describe, list_devices
from amdgpu_dra.core.fakegpu import MODELS, FleetSpec, GpuSpec, NumaNode, render
from amdgpu_dra.core.gpu import Inventory, PciAddress, parse
from amdgpu_dra.edge.faketree import read_fleet
from amdgpu_dra.testing.strategies import fleets

DYNAMIC = Layout(dynamic=True)
FIRST = PciAddress(0, 5, 0)


def _inventory(fleet: str) -> Inventory:
    return parse(render(read_fleet(fleet)))


def _described(listing: Listing) -> list[Device]:
    return [describe(device)[0] for device in listing.devices]


def _reasons(listing: Listing) -> set[tuple[str, str]]:
    return {(item.what, item.reason) for item in listing.withheld}


def _fleet(model: str, memory: str, mode: str, kernel: str) -> FleetSpec:
    gpu = GpuSpec(address=FIRST, model=model, numa=0, pcie_root="pci0000:04", unique_id=1, compute=mode, memory=memory)
    return FleetSpec(name="one", gpus=(gpu,), numa=(NumaNode(cores=1, memory=1),), kernel=kernel)


@pytest.mark.parametrize("kernel", ["6.8", "6.12", "7.x"])
@pytest.mark.parametrize(
    ("model", "memory"), [(name, memory) for name, model in MODELS.items() for memory in model.legal]
)
def test_a_switch_changes_no_published_device(model: str, memory: str, kernel: str) -> None:
    """In whichever mode a GPU is, the same devices are published, with the same attributes, memory and counters."""
    listings = [
        list_devices(parse(render(_fleet(model, memory, mode, kernel))), DYNAMIC)
        for mode in MODELS[model].legal[memory]
    ]

    assert all(_described(listing) == _described(listings[0]) for listing in listings)
    assert all(listing.counter_sets == listings[0].counter_sets for listing in listings)
    assert len(listings[0].devices) == sum(MODELS[model].partitions(mode) for mode in MODELS[model].legal[memory])


@given(fleets())
def test_only_partitions_that_exist_have_nodes(fleet: FleetSpec) -> None:
    """A device has its nodes exactly if its GPU is in its mode; every device of the static layout is there too."""
    inventory = parse(render(fleet))
    listing = list_devices(inventory, DYNAMIC)
    static = list_devices(inventory)

    for device in listing.devices:
        assert device.is_current == (device.mode == device.gpu.compute_mode) == bool(device.nodes)
    for existing in static.devices:
        found = listing.find(existing.name)
        assert found is not None
        assert (found.nodes, found.partition) == (existing.nodes, existing.partition)


def _fits(devices: Iterable[NodeDevice], listing: Listing) -> bool:
    """Whether no counter is taken beyond its value."""
    left = {(item.name, counter): value for item in listing.counter_sets for counter, value in item.counters.items()}
    taken: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    for device in devices:
        for item in device.consumes:
            for counter, value in item.counters.items():
                taken[item.counter_set, counter] += value
    return all(value <= left[key] for key, value in taken.items())


@given(st.data(), st.sampled_from(["mi300x-8-spx", "mi308x-8-cpx-nps4", "mi350x-8-spx", "mi300x-8-mixed"]))
def test_what_fits_is_one_mode_for_each_gpu(data: st.DataObject, fleet: str) -> None:
    """Any set of devices of two GPUs fits the counters exactly if it has one mode of each."""
    inventory = _inventory(fleet)
    listing = list_devices(replace(inventory, gpus=inventory.gpus[:2]), DYNAMIC)
    held = data.draw(st.lists(st.sampled_from(listing.devices), unique_by=lambda device: device.name))
    modes = defaultdict(set)
    for device in held:
        modes[device.gpu.address].add(device.mode)

    assert _fits(held, listing) == all(len(found) == 1 for found in modes.values())


def test_whole_gpus_come_first_and_from_the_other_end() -> None:
    """Whole GPUs ascend, partitions descend GPU by GPU and start with the finest mode."""
    listing = list_devices(_inventory("mi300x-8-spx"), DYNAMIC)
    names = [device.name.removeprefix("gpu-0000-") for device in listing.devices]
    buses = ["05", "26", "46", "65", "85", "a6", "c6", "e5"]

    assert names[:8] == [f"{bus}-00-0" for bus in buses]
    assert names[8:22] == [
        f"e5-00-0-{mode}-{index}" for mode, count in (("cpx", 8), ("qpx", 4), ("dpx", 2)) for index in range(count)
    ]
    assert [name[:2] for name in names[8:]] == [bus for bus in reversed(buses) for _ in range(14)]


@given(fleets(), st.randoms())
def test_the_order_is_that_of_the_hardware(fleet: FleetSpec, random: Random) -> None:
    """GPUs stand by hive, NUMA node and address, whole before partitions, in whatever order they were found."""
    inventory = parse(render(fleet))
    shuffled = list(inventory.gpus)
    random.shuffle(shuffled)
    listing = list_devices(inventory, DYNAMIC)

    assert [d.name for d in listing.devices] == [
        d.name for d in list_devices(replace(inventory, gpus=tuple(shuffled)), DYNAMIC).devices
    ]
    kinds = [device.is_whole for device in listing.devices]
    assert kinds == sorted(kinds, reverse=True)
    places = [
        (device.gpu.hive_id or 1 << 64, device.gpu.numa_node, device.gpu.address)
        for device in listing.devices
        if device.is_whole
    ]
    assert places == sorted(places)


def test_a_partition_without_a_drm_node_is_withheld_before_it_exists() -> None:
    """Where the kernel ran out of minors the last GPU lacks its eighth CPX partition, in whatever mode it is."""
    cut = read_fleet("mi300x-8-63")
    whole = replace(cut, gpus=tuple(replace(gpu, compute="SPX") for gpu in cut.gpus))
    for fleet in (cut, whole):
        listing = list_devices(parse(render(fleet)), DYNAMIC)
        (lost,) = [item for item in listing.withheld if item.reason == "NoDrmNode"]

        assert lost.what == f"CPX partition 7 of GPU {fleet.gpus[-1].address}"
        assert len(listing.devices) == 8 * 15 - 1


def test_a_partition_that_kfd_does_not_show_is_withheld() -> None:
    """With its DRM node and without a KFD node a partition of the mode of now is no device; its siblings are."""
    inventory = _inventory("mi300x-8-cpx")
    first = replace(inventory.gpus[0], partitions=inventory.gpus[0].partitions[:-1])
    listing = list_devices(replace(inventory, gpus=(first, *inventory.gpus[1:])), DYNAMIC)

    assert _reasons(listing) == {("CPX partition 7 of GPU 0000:05:00.0", "NoKfdNode")}
    assert listing.find("gpu-0000-05-00-0-cpx-6") is not None


def test_there_is_no_whole_gpu_under_nps4() -> None:
    """It is withheld with the memory mode in the sentence; QPX and CPX are there."""
    fleet = _fleet("MI300X", "NPS4", "CPX", "6.12")
    listing = list_devices(parse(render(fleet)), DYNAMIC)

    assert {device.mode for device in listing.devices} == {"QPX", "CPX"}
    assert _reasons(listing) == {("whole GPU 0000:05:00.0", "NoWholeGpu")}
    assert "NPS4" in listing.withheld[0].detail
    assert [len(item.counters) for item in listing.counter_sets] == [4]


def test_a_mode_that_failed_is_not_published() -> None:
    """Nor counted: QPX is the finest of what is left. The mode that is set now stays, whatever failed before."""
    inventory = _inventory("mi300x-8-spx")
    layout = Layout(dynamic=True, failed=frozenset({(FIRST, "CPX"), (FIRST, "SPX")}))
    listing = list_devices(inventory, layout)

    assert {device.mode for device in listing.devices if device.gpu.address == FIRST} == {"SPX", "DPX", "QPX"}
    assert _reasons(listing) == {("CPX of GPU 0000:05:00.0", "ModeFailed")}
    assert listing.counter_sets[0].counters == {"spx-0": 4, "dpx-0": 4, "dpx-1": 4}


def test_a_blocked_gpu_keeps_its_names_and_what_exists() -> None:
    """Its partitions of other modes get a taint and come last; those of its mode stay as they were."""
    inventory = _inventory("mi300x-8-mixed")
    free = list_devices(inventory, DYNAMIC)
    blocked = list_devices(inventory, Layout(dynamic=True, blocked={FIRST: "SwitchBlocked"}))
    tainted = [device for device in blocked.devices if device.taints]

    assert {device.name for device in free.devices} == {device.name for device in blocked.devices}
    assert {device.name for device in tainted} == {
        device.name for device in free.devices if device.gpu.address == FIRST and not device.is_current
    }
    assert list(blocked.devices[-len(tainted) :]) == tainted
    assert {(taint.key, taint.value, taint.effect) for device in tainted for taint in device.taints} == {
        (BLOCKED_TAINT, "SwitchBlocked", "NoSchedule")
    }


def test_a_gpu_whose_mode_cannot_be_written_has_what_exists() -> None:
    """A virtual function is published as it is, with the reason; a GPU without modes without one."""
    virtual = list_devices(_inventory("mi350x-vf"), DYNAMIC)
    without = list_devices(_inventory("mi210-8"), DYNAMIC)

    assert [device.is_current for device in virtual.devices] == [True]
    assert {item.reason for item in virtual.withheld} == {"NotWritable"}
    assert (len(without.devices), without.withheld, without.counter_sets) == (8, (), ())


def test_a_gpu_that_cannot_be_planned_has_what_exists() -> None:
    """Without the count of its XCCs nothing is said of other modes."""
    inventory = _inventory("mi300x-8-cpx")
    parts = tuple(replace(part, xccs=None) for part in inventory.gpus[0].partitions)
    listing = list_devices(replace(inventory, gpus=(replace(inventory.gpus[0], partitions=parts),)), DYNAMIC)

    assert [device.name for device in listing.devices] == [f"gpu-0000-05-00-0-cpx-{i}" for i in range(8)]
    assert {item.reason for item in listing.withheld} == {"NotPlannable"}
    assert not any(device.consumes for device in listing.devices)


def test_the_static_layout_of_a_mixed_node_is_what_exists() -> None:
    """Four GPUs in CPX and four whole: whole GPUs first, each partition once, no counters."""
    listing = list_devices(_inventory("mi300x-8-mixed"))

    assert [device.is_whole for device in listing.devices] == [True] * 4 + [False] * 32
    assert not listing.counter_sets
    assert all(device.is_current and not device.consumes for device in listing.devices)

"""`build_slices(devices)`: the wanted slices of a node's pool, generation still open."""

import hashlib
import re
from collections.abc import Iterable

from amdgpu_dra.api.resource import CounterSet, Device, ResourceSlice

DRIVER = "gpu.amd.com"
# ResourceSliceMaxDevices, and the lower one of a slice in which any device has taints or consumes counters.
MOST_DEVICES, MOST_ADVANCED = 128, 64
# ResourceSliceMaxCounterSets, and the most counters of a set.
MOST_SETS, MOST_COUNTERS = 8, 32
_MOST_CONSUMPTIONS = 2
_MOST_TAINTS = 16
_LONGEST_NAME = 253
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_MOST_VALUES = 32


def build_slices(
    devices: tuple[Device, ...], counter_sets: tuple[CounterSet, ...] = (), *, node: str, node_uid: str
) -> tuple[ResourceSlice, ...]:
    """The slices of the pool, in the order in which the scheduler reads them: devices, then counter sets.

    A device that no API server would take (its name is no DNS label, a name twice, too many values) and one that takes
    of counters that are not there, which would make the whole pool invalid, is left out alone. There is always a slice:
    an empty one says that the driver is up.
    """
    sets = _valid_sets(counter_sets)
    good: dict[str, Device] = {}
    for device in devices:
        if is_valid(device) and device.name not in good and not find_unknown(device, sets.values()):
            good[device.name] = device
    used = {item.counter_set for device in good.values() for item in device.consumes_counters}
    counted = [item for name, item in sets.items() if name in used]
    parts: list[tuple[tuple[Device, ...], tuple[CounterSet, ...]]] = [(chunk, ()) for chunk in _chunks(good.values())]
    parts += [((), tuple(counted[i : i + MOST_SETS])) for i in range(0, len(counted), MOST_SETS)]
    return tuple(
        ResourceSlice(
            name=slice_name(index, node),
            driver=DRIVER,
            node_name=node,
            pool=node,
            generation=0,
            slice_count=len(parts),
            devices=chunk,
            shared_counters=shared,
            owner_uid=node_uid,
        )
        for index, (chunk, shared) in enumerate(parts)
    )


def _chunks(devices: Iterable[Device]) -> list[tuple[Device, ...]]:
    """As few slices as the limits allow, in the order given; an empty one if there is no device."""
    chunks: list[list[Device]] = [[]]
    for device in devices:
        grown = [*chunks[-1], device]
        if len(grown) > (MOST_ADVANCED if any(_is_advanced(item) for item in grown) else MOST_DEVICES):
            chunks.append([device])
        else:
            chunks[-1] = grown
    return [tuple(chunk) for chunk in chunks]


def _is_advanced(device: Device) -> bool:
    return bool(device.consumes_counters or device.taints)


def is_valid(device: Device) -> bool:
    """Whether name, values, taints and counters keep the limits of ResourceSlice."""
    taken = [item.counter_set for item in device.consumes_counters]
    return (
        bool(_DNS_LABEL.fullmatch(device.name))
        and len(device.attributes) + len(device.capacity) <= _MOST_VALUES
        and len(device.taints) <= _MOST_TAINTS
        and len(taken) == len(set(taken)) <= _MOST_CONSUMPTIONS
        and all(0 < len(item.counters) <= MOST_COUNTERS for item in device.consumes_counters)
    )


def find_unknown(device: Device, counter_sets: Iterable[CounterSet]) -> str | None:
    """The first counter (`set` or `set/counter`) that the device takes of and the pool does not have.

    An API server cannot see that, since sets and devices stand in different slices; the scheduler then uses no device
    of the pool (structured allocator, buildPool).
    """
    have = {item.name: item.counters for item in counter_sets}
    for item in device.consumes_counters:
        if item.counter_set not in have:
            return item.counter_set
        for counter in item.counters:
            if counter not in have[item.counter_set]:
                return f"{item.counter_set}/{counter}"
    return None


def _valid_sets(counter_sets: Iterable[CounterSet]) -> dict[str, CounterSet]:
    """Each name once, with names and numbers of counters that an API server takes."""
    found: dict[str, CounterSet] = {}
    for item in counter_sets:
        names = (item.name, *item.counters)
        if 0 < len(item.counters) <= MOST_COUNTERS and all(_DNS_LABEL.fullmatch(name) for name in names):
            found.setdefault(item.name, item)
    return found


def slice_name(index: int, node: str) -> str:
    """`00000-gpu.amd.com-<node>`: the scheduler reads slices by name, and a second start finds its own again."""
    name = f"{index:05x}-{DRIVER}-{node}"
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{index:05x}-{DRIVER}-{hashlib.sha256(node.encode()).hexdigest()[:32]}"

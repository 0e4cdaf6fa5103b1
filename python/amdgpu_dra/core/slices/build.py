"""`build_slices(devices)`: the wanted slices of a node's pool, generation still open."""

import hashlib
import re

from amdgpu_dra.api.resource import Device, ResourceSlice

DRIVER = "gpu.amd.com"
# ResourceSliceMaxDevices; half of it once a device has taints or consumes counters.
MOST_DEVICES = 128
_LONGEST_NAME = 253
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_MOST_VALUES = 32


def build_slices(devices: tuple[Device, ...], *, node: str, node_uid: str) -> tuple[ResourceSlice, ...]:
    """The slices of the pool, in the order in which the scheduler reads them.

    A device that no API server would take is left out (its name is no DNS label, a name twice, too many values), so
    that it cannot cost the others their slice. There is always a slice: an empty one says that the driver is up.
    """
    good: dict[str, Device] = {}
    for device in devices:
        if is_valid(device) and device.name not in good:
            good[device.name] = device
    rows = list(good.values())
    chunks = [tuple(rows[i : i + MOST_DEVICES]) for i in range(0, len(rows), MOST_DEVICES)] or [()]
    return tuple(
        ResourceSlice(
            name=slice_name(index, node),
            driver=DRIVER,
            node_name=node,
            pool=node,
            generation=0,
            slice_count=len(chunks),
            devices=chunk,
            owner_uid=node_uid,
        )
        for index, chunk in enumerate(chunks)
    )


def is_valid(device: Device) -> bool:
    """Whether name and number of values keep the limits of ResourceSlice."""
    return bool(_DNS_LABEL.fullmatch(device.name)) and len(device.attributes) + len(device.capacity) <= _MOST_VALUES


def slice_name(index: int, node: str) -> str:
    """`00000-gpu.amd.com-<node>`: the scheduler reads slices by name, and a second start finds its own again."""
    name = f"{index:05x}-{DRIVER}-{node}"
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{index:05x}-{DRIVER}-{hashlib.sha256(node.encode()).hexdigest()[:32]}"

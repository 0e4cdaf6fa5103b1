"""One node's devices, in an order, and what of them is held."""

from collections import defaultdict

from amdgpu_dra.core.devices import Layout, Listing, NodeDevice, list_devices
from amdgpu_dra.core.gpu import Inventory, PciAddress

type Counter = tuple[str, str]
"""Counter set and counter."""


def our_order(inventory: Inventory) -> Listing:
    """The dynamic layout as it is published."""
    return list_devices(inventory, Layout(dynamic=True))


def naive_order(inventory: Inventory) -> Listing:
    """The same devices and counters by name: GPU by GPU from one end, each GPU's kinds side by side."""
    ours = our_order(inventory)
    return Listing(
        devices=tuple(sorted(ours.devices, key=lambda device: device.name)),
        withheld=(),
        counter_sets=ours.counter_sets,
    )


class Pool:
    """Takes the first device of a kind whose counters are there, as the scheduler does on one node."""

    def __init__(self, listing: Listing) -> None:
        self._by_mode: dict[str | None, list[NodeDevice]] = defaultdict(list)
        for device in listing.devices:
            self._by_mode[device.mode].append(device)
            self._by_mode[None].append(device)
        self._left: dict[Counter, int] = {
            (item.name, counter): int(value)
            for item in listing.counter_sets
            for counter, value in item.counters.items()
        }
        self._takes = {
            device.name: [
                (item.counter_set, counter, int(value))
                for item in device.consumes
                for counter, value in item.counters.items()
            ]
            for device in listing.devices
        }
        self.held: dict[str, NodeDevice] = {}
        self._free: dict[PciAddress, int] = defaultdict(int)
        for device in listing.devices:
            if device.is_whole:
                self._free[device.gpu.address] = device.partition.xccs or 0
        self.most = max(self._free.values(), default=0)

    def take(self, mode: str | None) -> NodeDevice | None:
        """The first free device of a compute mode (None: of any) that fits, held from now on; None if there is none."""
        for device in self._by_mode[mode]:
            if device.name not in self.held and self._fits(device.name):
                self._move(device, 1)
                self.held[device.name] = device
                return device
        return None

    def give_back(self, name: str) -> None:
        """Frees a device."""
        self._move(self.held.pop(name), -1)

    @property
    def free_xccs(self) -> int:
        """XCCs of which no held device has a part, of all GPUs together."""
        return sum(self._free.values())

    def _fits(self, name: str) -> bool:
        return all(self._left[counter_set, counter] >= value for counter_set, counter, value in self._takes[name])

    def _move(self, device: NodeDevice, sign: int) -> None:
        for counter_set, counter, value in self._takes[device.name]:
            self._left[counter_set, counter] -= sign * value
        self._free[device.gpu.address] -= sign * (device.partition.xccs or 0)

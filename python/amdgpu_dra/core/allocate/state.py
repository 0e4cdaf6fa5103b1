"""What is allocated already, to whichever claim."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from amdgpu_dra.core.allocate.fields import Fields
from amdgpu_dra.core.allocate.model import DeviceId
from amdgpu_dra.core.allocate.pools import PoolId


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocatedState:
    """Devices that are held.

    Attributes:
        devices: those that are held whole.
        shared: those of which a claim holds a share.
        capacity: how much of each capacity of a device is held, in nano units, summed over its shares.
        holders: the claims that hold a device, as `namespace/name`, where that is known.
    """

    devices: frozenset[DeviceId] = frozenset()
    shared: frozenset[DeviceId] = frozenset()
    capacity: Mapping[DeviceId, Mapping[str, int]] = field(default_factory=dict)
    holders: Mapping[DeviceId, tuple[str, ...]] = field(default_factory=dict)
    _pools: dict[PoolId, set[str]] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        for device in (*self.devices, *self.shared, *self.capacity):
            self._pools.setdefault((device.driver, device.pool), set()).add(device.device)

    def held_in(self, pool: PoolId) -> set[str]:
        """The devices of a pool that are held whole or in part, by name."""
        return self._pools.get(pool, set())

    @classmethod
    def of_claims(cls, claims: Iterable[Mapping[str, object]]) -> "AllocatedState":
        """From the status of all claims of the cluster (v1 JSON), as the scheduler does.

        A result with adminAccess holds nothing; one with a shareID holds a share.

        Raises:
            DecodeError: an allocation is of the wrong form; says where.
        """
        devices: set[DeviceId] = set()
        shared: set[DeviceId] = set()
        capacity: dict[DeviceId, dict[str, int]] = {}
        holders: dict[DeviceId, tuple[str, ...]] = {}
        for i, raw in enumerate(claims):
            claim = Fields(raw, f"claims[{i}]")
            metadata = claim.child("metadata")
            holder = f"{metadata.text('namespace')}/{metadata.text('name')}"
            for result in claim.child("status").child("allocation").child("devices").objects("results", lambda x: x):
                if result.flag("adminAccess", default=False):
                    continue
                device = DeviceId(result.text("driver"), result.text("pool"), result.text("device"))
                holders[device] = (*holders.get(device, ()), holder)
                if not result.has("shareID"):
                    devices.add(device)
                    continue
                shared.add(device)
                _add(capacity, device, {name: q.nano for name, q in result.quantities("consumedCapacity").items()})
        return cls(devices=frozenset(devices), shared=frozenset(shared), capacity=capacity, holders=holders)


def _add(capacity: dict[DeviceId, dict[str, int]], device: DeviceId, amounts: Mapping[str, int]) -> None:
    if amounts:
        row = capacity.setdefault(device, {})
        for name, amount in amounts.items():
            row[name] = row.get(name, 0) + amount

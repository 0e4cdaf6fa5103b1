"""What is being allocated: devices taken and taken back, with counters, constraints and capacity kept in step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from amdgpu_dra.core.allocate.capacity import Amounts, remaining
from amdgpu_dra.core.allocate.constraints import Rule
from amdgpu_dra.core.allocate.counters import Compatibility, Groups, Ledger
from amdgpu_dra.core.allocate.errors import AllocationError
from amdgpu_dra.core.allocate.model import Device
from amdgpu_dra.core.allocate.pools import Pool
from amdgpu_dra.core.allocate.wanted import Context, Wanted


@dataclass(slots=True)
class Placed:
    """A device that is being allocated, and what to undo."""

    wanted: Wanted
    index: int
    device: Device
    shared: bool
    amounts: Amounts
    reserved: bool
    groups: Mapping[str, Groups] | None


class Placing:
    """The state of a search.

    Attributes:
        results: the devices of each claim, in order.
        busy: by index: the claims that take the device whole, as bits.
    """

    def __init__(self, context: Context, pools: Sequence[Pool], claims: int) -> None:
        self.context = context
        self.devices = context.devices
        self.results: list[list[Placed]] = [[] for _ in range(claims)]
        self.busy = [0] * len(self.devices)
        self._shares: dict[int, int] = {}
        self._taken: dict[int, dict[str, int]] = {}
        self._pools = {pool.id: pool for pool in pools}
        self._ledgers: dict[tuple[str, str], Ledger] = {}
        self._compatibility: dict[tuple[str, str], Compatibility] = {}

    def place(self, claim: int, wanted: Wanted, index: int) -> bool:
        """Allocates a device that fits the request, unless counters, constraints or capacity refuse it.

        Raises:
            AllocationError: a derived attribute fails.
        """
        device = self.devices[index]
        amounts = wanted.amounts.get(index)
        if amounts and not self._has_room(index, device, amounts):
            return False
        return self._place(claim, wanted, index, device) is None

    def place_exactly(self, claim: int, wanted: Wanted, index: int) -> bool:
        """Allocates this device for a request for all.

        Raises:
            AllocationError: a constraint refuses it; no other choice would help.
        """
        device = self.devices[index]
        busy = self.busy[index]
        if busy >> claim & 1 if wanted.admin else busy or device.id in self.context.state.devices:
            return False
        if not wanted.usable(device):
            return False
        refused = self._place(claim, wanted, index, device)
        if refused is None:
            return True
        if refused == "constraint":
            raise AllocationError(
                f"claim {wanted.claim}, request {wanted.request.name}: cannot add device {device.id} "
                "because a claim constraint would not be satisfied"
            )
        return False

    def _place(self, claim: int, wanted: Wanted, index: int, device: Device) -> str | None:
        shared = device.allow_multiple and self.context.shareable(device)
        groups, reserved = None, False
        if device.groups and not (shared and self._in_use(index, device)):
            if self.context.features.compatibility_groups:
                groups = self._groups(device).place(device)
                if groups is None:
                    return "groups"
            if not self._ledger(device).reserve(device):
                self._restore(device, groups, reserved=False)
                return "counters"
            reserved = True
        if wanted.rules and not self._add_rules(wanted, device):
            self._restore(device, groups, reserved=reserved)
            return "constraint"
        amounts = wanted.amounts.get(index) or {}
        if amounts and not self._has_room(index, device, amounts):
            remove_rules(wanted.rules)
            self._restore(device, groups, reserved=reserved)
            return "capacity"
        if shared:
            self._share(index, amounts, 1)
        else:
            self.busy[index] |= 1 << claim
        self.results[claim].append(Placed(wanted, index, device, shared, amounts, reserved, groups))
        return None

    def take_back(self, claim: int) -> None:
        """Takes back the claim's last device."""
        placed = self.results[claim].pop()
        if placed.shared:
            self._share(placed.index, placed.amounts, -1)
        else:
            self.busy[placed.index] &= ~(1 << claim)
        remove_rules(placed.wanted.rules)
        self._restore(placed.device, placed.groups, reserved=placed.reserved)

    def may_fail(self, wanted: Wanted) -> bool:
        """Whether placing a device for this request can end the attempt with an error."""
        return any(rule.attribute in wanted.request.derived for rule in wanted.rules)

    def _add_rules(self, wanted: Wanted, device: Device) -> bool:
        added: list[Rule] = []
        try:
            for rule in wanted.rules:
                if not rule.add(wanted.request, device):
                    remove_rules(added)
                    return False
                added.append(rule)
        except AllocationError:
            remove_rules(added)
            raise
        return True

    def _restore(self, device: Device, groups: Mapping[str, Groups] | None, *, reserved: bool) -> None:
        if groups is not None:
            self._groups(device).restore(groups)
        if reserved:
            self._ledger(device).release(device)

    def _has_room(self, index: int, device: Device, amounts: Amounts) -> bool:
        held, taken = self.context.state.capacity.get(device.id), self._taken.get(index)
        if held is None and taken is None:
            return True
        return remaining(amounts, device, held or {}, taken or {})

    def _share(self, index: int, amounts: Amounts, sign: int) -> None:
        self._shares[index] = self._shares.get(index, 0) + sign
        taken = self._taken.setdefault(index, {})
        for name, amount in amounts.items():
            taken[name] = taken.get(name, 0) + sign * amount.nano

    def _in_use(self, index: int, device: Device) -> bool:
        state = self.context.state
        return device.id in state.shared or device.id in state.capacity or self._shares.get(index, 0) > 0

    def _ledger(self, device: Device) -> Ledger:
        key = (device.id.driver, device.id.pool)
        if key not in self._ledgers:
            self._ledgers[key] = Ledger(self._pools[key], self.context.state)
        return self._ledgers[key]

    def _groups(self, device: Device) -> Compatibility:
        key = (device.id.driver, device.id.pool)
        if key not in self._compatibility:
            self._compatibility[key] = Compatibility(self._pools[key], self.context.state)
        return self._compatibility[key]


def remove_rules(rules: Sequence[Rule]) -> None:
    """Takes the last device back from each of the rules."""
    for rule in rules:
        rule.remove()

"""Looks at every device of a node and says why it cannot serve a claim.

A pass of its own, so that the search stays fast. Each device is looked at alone, as if it were the first that the claim
is given; what only a combination refuses comes last.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from amdgpu_dra.core.allocate.allocator import Allocated, Allocator
from amdgpu_dra.core.allocate.capacity import CapacityError, amounts_of, violates
from amdgpu_dra.core.allocate.constraints import Match, Rule
from amdgpu_dra.core.allocate.counters import Compatibility, Ledger
from amdgpu_dra.core.allocate.errors import AllocationError
from amdgpu_dra.core.allocate.model import Claim, Device, DeviceId, Node
from amdgpu_dra.core.allocate.nodes import node_matches
from amdgpu_dra.core.allocate.pools import Pool
from amdgpu_dra.core.allocate.quantity import Quantity
from amdgpu_dra.core.allocate.reasons import Reason, Refusal
from amdgpu_dra.core.allocate.state import AllocatedState
from amdgpu_dra.core.allocate.wanted import Context, Wanted
from amdgpu_dra.core.cel import CelRuntimeError

__all__ = ["inspect_devices", "refusals"]


def refusals(allocator: Allocator, node: Node, claim: Claim, earlier: Sequence[Claim] = ()) -> tuple[Refusal, ...]:
    """Why no device of the node serves the claim: one row for each device and each request or alternative.

    Empty if the node serves it. `earlier` are claims of the same pod that are served before.
    """
    if isinstance(allocator.allocate(node, [*earlier, claim]), Allocated):
        return ()
    return inspect_devices(allocator, node, claim, _taken(allocator, node, earlier))


def inspect_devices(
    allocator: Allocator, node: Node, claim: Claim, taken: Mapping[DeviceId, str] = MappingProxyType({})
) -> tuple[Refusal, ...]:
    """The rows of `refusals` for a claim that is known not to be served; nothing is searched for again.

    `taken` are devices that claims of the same pod take before, with those claims.
    """
    try:
        context, pools, plan = allocator.prepare(node, [claim])
    except AllocationError as error:
        row = Refusal(node=node.name, request="", device=None, reason=Reason.ERROR, detail=error.text)
        return (row,)
    found = [*_pool_rows(node, pools)]
    for alternatives in plan[0]:
        for wanted in alternatives:
            found += _Look(context, pools, wanted, taken).rows()
    return tuple(found)


def _taken(allocator: Allocator, node: Node, earlier: Sequence[Claim]) -> dict[DeviceId, str]:
    outcome = allocator.allocate(node, earlier) if earlier else None
    found: dict[DeviceId, str] = {}
    if isinstance(outcome, Allocated):
        for claim, devices in zip(earlier, outcome.devices, strict=True):
            found |= dict.fromkeys(devices, str(claim))
    return found


def _pool_rows(node: Node, pools: Iterable[Pool]) -> Iterable[Refusal]:
    for pool in pools:
        row = Refusal(node=node.name, request="", device=None, reason=Reason.POOL_INCOMPLETE, subject=str(pool))
        if pool.incomplete:
            yield row
        if pool.invalid:
            yield replace(row, reason=Reason.POOL_INVALID, detail=pool.invalid)


class _Look:
    """One request on one node."""

    def __init__(self, context: Context, pools: Sequence[Pool], wanted: Wanted, taken: Mapping[DeviceId, str]) -> None:
        self._context, self._wanted, self._taken = context, wanted, taken
        self._pools = {pool.id: pool for pool in pools}
        self._node = context.node
        self._state: AllocatedState = context.state

    def rows(self) -> list[Refusal]:
        """Every device with what refused it."""
        found, fit = [], []
        for device in self._context.devices:
            row = self._alone(device)
            if row is None:
                fit.append(device)
            else:
                found.append(row)
        return found + [self._together(device, fit) for device in fit]

    def _row(self, device: Device, reason: Reason, subject: str = "", **more: object) -> Refusal:
        row = Refusal(
            node=self._node.name,
            request=self._wanted.request.full_name,
            device=device.id,
            reason=reason,
            subject=subject,
        )
        return replace(row, **more)  # type: ignore[arg-type]

    def _alone(self, device: Device) -> Refusal | None:
        for check in (
            self._in_use,
            self._selectors,
            self._node_selection,
            self._capacity,
            self._features,
            self._groups,
            self._counters,
            self._taints,
            self._attributes,
        ):
            if (row := check(device)) is not None:
                return row
        return None

    def _in_use(self, device: Device) -> Refusal | None:
        if device.id in self._taken and not self._context.shareable(device):
            return self._row(device, Reason.EARLIER_CLAIM, holders=(self._taken[device.id],))
        if device.id in self._state.devices and not self._wanted.admin:
            return self._row(device, Reason.ALLOCATED, holders=self._state.holders.get(device.id, ()))
        if device.binding_conditions and not self._context.features.device_binding_and_status:
            return self._row(device, Reason.BINDING_CONDITIONS)
        return None

    def _selectors(self, device: Device) -> Refusal | None:
        own = len(self._wanted.device_class.selectors)
        for i, (selector, where) in enumerate(self._wanted.selectors):
            if selector.error is not None:
                return self._row(device, Reason.ERROR, detail=f"{where}: CEL compile error: {selector.error}")
            try:
                selected = selector.matches(device)
            except CelRuntimeError as error:
                return self._row(device, Reason.ERROR, detail=f"{where}: CEL runtime error: {error}")
            if not selected and i < own:
                name = self._wanted.device_class.name
                return self._row(device, Reason.CLASS_SELECTOR, name, index=i, detail=selector.expression)
            if not selected:
                return self._row(device, Reason.REQUEST_SELECTOR, index=i - own, detail=selector.expression)
        return None

    def _node_selection(self, device: Device) -> Refusal | None:
        if device.selects_nodes and not node_matches(self._node, device.placement):
            return self._row(device, Reason.NODE_SELECTION)
        return None

    def _capacity(self, device: Device) -> Refusal | None:
        features, requested = self._context.features, self._wanted.request.capacity
        if not features.consumable_capacity:
            return None
        for name in sorted(requested.keys() - device.capacity.keys()):
            return self._row(device, Reason.CAPACITY_UNKNOWN, name, needed=str(requested[name]))
        try:
            amounts = amounts_of(requested, device, fractional=features.fractional_capacity_range) or {}
        except CapacityError as error:
            return self._row(device, Reason.ERROR, detail=str(error))
        held = self._state.capacity.get(device.id, {})
        for name, amount in sorted(amounts.items()):
            capacity = device.capacity[name]
            if violates(amount, capacity.policy, fractional=features.fractional_capacity_range):
                return self._row(device, Reason.CAPACITY_POLICY, name, needed=str(amount))
            left = capacity.value.nano - held.get(name, 0)
            if amount.nano > left:
                shown = str(Quantity(nano=left, format=capacity.value.format))
                holders = self._state.holders.get(device.id, ())
                return self._row(device, Reason.CAPACITY, name, needed=str(amount), available=shown, holders=holders)
        return None

    def _features(self, device: Device) -> Refusal | None:
        if device.groups and not self._context.features.partitionable_devices:
            return self._row(device, Reason.PARTITIONS_OFF)
        if not self._wanted.operable(device):
            return self._row(device, Reason.NODE_OPERATIONS, ", ".join(device.skip_operations))
        return None

    def _shared_already(self, device: Device) -> bool:
        held = device.id in self._state.shared or device.id in self._state.capacity
        return held and self._context.shareable(device)

    def _groups(self, device: Device) -> Refusal | None:
        if not device.groups or not self._context.features.compatibility_groups or self._shared_already(device):
            return None
        pool = self._pools[device.id[:2]]
        if Compatibility(pool, self._state).place(device) is not None:
            return None
        subject = device.groups[0][0]
        return self._row(device, Reason.COMPATIBILITY, subject, holders=self._holders(pool, subject, None))

    def _counters(self, device: Device) -> Refusal | None:
        if not device.groups or self._shared_already(device):
            return None
        pool = self._pools[device.id[:2]]
        ledger = Ledger(pool, self._state)
        for key, amount in device.takes:
            left = ledger.available(key)
            if amount > left:
                needed, available = str(Quantity(nano=amount)), str(Quantity(nano=left))
                holders = self._holders(pool, *key)
                return self._row(
                    device, Reason.COUNTER, "/".join(key), needed=needed, available=available, holders=holders
                )
        for key in ledger.overdrawn:
            return self._row(device, Reason.COUNTER_OVERDRAWN, "/".join(key), holders=self._holders(pool, *key))
        return None

    def _holders(self, pool: Pool, counter_set: str, counter: str | None) -> tuple[str, ...]:
        """Who has a counter, or anything of its set."""
        names = self._state.held_in(pool.id)
        found: list[str] = []
        for device in (*pool.devices, *pool.others):
            takes = any(key[0] == counter_set and counter in {None, key[1]} for key, _ in device.takes)
            if takes and device.id.device in names:
                found += self._state.holders.get(device.id) or (str(device.id),)
        return tuple(dict.fromkeys(found))

    def _taints(self, device: Device) -> Refusal | None:
        if not self._context.features.device_taints:
            return None
        for taint in self._wanted.blocking_taints(device):
            return self._row(device, Reason.TAINT, f"{taint.key}={taint.value}:{taint.effect}")
        return None

    def _attributes(self, device: Device) -> Refusal | None:
        for rule in self._wanted.rules:
            try:
                added = rule.add(self._wanted.request, device)
            except AllocationError as error:
                return self._row(device, Reason.ERROR, detail=error.text)
            if not added:
                return self._row(device, Reason.ATTRIBUTE_MISSING, rule.attribute)
            rule.remove()
        return None

    def _together(self, device: Device, fit: Sequence[Device]) -> Refusal:
        """Why a device that nothing refuses is of no use."""
        wanted = self._wanted.count
        if len(fit) < wanted:
            return self._row(device, Reason.TOO_FEW, needed=str(wanted), available=str(len(fit)))
        for rule in self._wanted.rules:
            count = self._companions(rule, device, fit)
            if count < wanted:
                reason = Reason.MATCH if isinstance(rule, Match) else Reason.DISTINCT
                return self._row(device, reason, rule.attribute, needed=str(wanted), available=str(count))
        return self._row(device, Reason.TOGETHER)

    def _companions(self, rule: Rule, device: Device, fit: Sequence[Device]) -> int:
        """How many devices the rule lets go with this one, itself included."""
        rule.add(self._wanted.request, device)
        count = 1
        added = 0
        for other in fit:
            if other is not device and rule.add(self._wanted.request, other):
                count += 1
                if isinstance(rule, Match):
                    rule.remove()
                else:
                    added += 1
        for _ in range(added + 1):
            rule.remove()
        return count

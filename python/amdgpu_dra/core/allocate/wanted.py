"""A request during one allocation: what its devices must be, and what is known of each device for it."""

from collections.abc import Sequence

from amdgpu_dra.core.allocate.capacity import Amounts, CapacityError, allowed, amounts_of, remaining
from amdgpu_dra.core.allocate.constraints import Rule
from amdgpu_dra.core.allocate.errors import AllocationError
from amdgpu_dra.core.allocate.features import Features, Variant
from amdgpu_dra.core.allocate.model import Claim, Device, DeviceClass, Node, Request, Taint
from amdgpu_dra.core.allocate.nodes import node_matches
from amdgpu_dra.core.allocate.selectors import Selector
from amdgpu_dra.core.allocate.state import AllocatedState
from amdgpu_dra.core.cel import CelRuntimeError

NODE_OPERATIONS = "DRAOptionalNodeOperations"
UNKNOWN, FITS, REFUSED = 0, 1, 2


class Context:
    """What stays the same during one allocation."""

    __slots__ = ("devices", "features", "node", "state", "variant")

    def __init__(self, features: Features, variant: Variant, state: AllocatedState, node: Node) -> None:
        self.features, self.variant, self.state, self.node = features, variant, state, node
        self.devices: Sequence[Device] = ()

    def shareable(self, device: Device) -> bool:
        """Whether several claims may hold the device."""
        return device.allow_multiple and self.features.consumable_capacity


class Wanted:
    """A request, or an alternative of one, with its class.

    Attributes:
        selectors: the class's, then the request's, each with the text that begins its errors.
        count: how many devices it wants; for All as many as there are.
        every: for All, the devices by index; None otherwise.
        fits: by index: UNKNOWN, FITS or REFUSED, whatever else is allocated.
        amounts: by index: what it takes of the device's capacity.
        rules: the claim's constraints that look at it.
    """

    __slots__ = (
        "_context",
        "admin",
        "amounts",
        "claim",
        "count",
        "device_class",
        "every",
        "fits",
        "request",
        "rules",
        "selectors",
    )

    def __init__(self, context: Context, claim: Claim, request: Request, device_class: DeviceClass) -> None:
        self._context, self.claim, self.request, self.device_class = context, claim, request, device_class
        self.admin = request.admin_access is True
        self.count, self.every = 0, None if request.mode != "All" else list[int]()
        self.selectors: tuple[tuple[Selector, str], ...] = ()
        self.fits = bytearray(len(context.devices))
        self.amounts: dict[int, Amounts] = {}
        self.rules: tuple[Rule, ...] = ()

    def selectable(self, device: Device) -> bool:
        """Whether class and request select the device, and its own node selection this node.

        Raises:
            AllocationError: a selector does not compile or fails on this device.
        """
        if device.binding_conditions and not self._context.features.device_binding_and_status:
            return False
        for selector, where in self.selectors:
            if selector.error is not None:
                raise AllocationError(f"{where}: CEL compile error: {selector.error}")
            try:
                if not selector.matches(device):
                    return False
            except CelRuntimeError as error:
                raise AllocationError(f"{where} on device {device.id}: CEL runtime error: {error}") from error
        return not device.selects_nodes or node_matches(self._context.node, device.placement)

    def within_capacity(self, index: int, device: Device, *, named: str) -> bool:
        """Whether the device has, empty, what is requested, as its policies allow.

        Raises:
            AllocationError: the amounts cannot be computed with.
        """
        fractional = self._context.features.fractional_capacity_range
        try:
            amounts = amounts_of(self.request.capacity, device, fractional=fractional)
        except CapacityError as error:
            where = f"claim {self.claim}, request {self.request.name}: checking capacity for device {named}"
            raise AllocationError(f"{where}: {error}") from None
        if amounts is None or not allowed(amounts, device, fractional=fractional):
            return False
        self.amounts[index] = amounts
        return True

    def usable(self, device: Device) -> bool:
        """Whether features, taints and the node's own features let the request have the device."""
        features = self._context.features
        if device.groups and not features.partitionable_devices:
            return False
        if device.skip_operations and not self.operable(device):
            return False
        return not features.device_taints or not device.taints or not self.blocking_taints(device)

    def operable(self, device: Device) -> bool:
        """Whether the node can skip the node operations that the device wants skipped."""
        context = self._context
        if not device.skip_operations or not context.variant.node_operations:
            return True
        return context.features.optional_node_operations and NODE_OPERATIONS in context.node.declared_features

    def blocking_taints(self, device: Device) -> list[Taint]:
        """The taints that keep pods away and are not tolerated."""
        return [
            taint
            for taint in device.taints
            if taint.effect in {"NoSchedule", "NoExecute"}
            and not any(item.tolerates(taint) for item in self.request.tolerations)
        ]

    def judge(self, index: int) -> bool:
        """Whether the device can ever serve an ExactCount request; kept in `fits`.

        The order of the checks decides which error is met, so it is upstream's.

        Raises:
            AllocationError: a selector or the capacity request fails.
        """
        device, context = self._context.devices[index], self._context
        fits = (
            (self.admin or device.id not in context.state.devices)
            and self.selectable(device)
            and self._has_capacity(index, device)
            and self.usable(device)
        )
        self.fits[index] = FITS if fits else REFUSED
        return fits

    def _has_capacity(self, index: int, device: Device) -> bool:
        context = self._context
        if not context.features.consumable_capacity or (not device.capacity and not self.request.capacity):
            return True
        if not self.within_capacity(index, device, named=str(device.id)):
            return False
        held = context.state.capacity.get(device.id)
        return not held or remaining(self.amounts[index], device, held, {})

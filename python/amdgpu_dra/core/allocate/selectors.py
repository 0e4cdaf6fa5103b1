"""CEL expressions over devices: compiled once, and each device asked once."""

from collections.abc import Mapping

from amdgpu_dra.core.allocate.decode import decode_attribute
from amdgpu_dra.core.allocate.features import Features, Variant
from amdgpu_dra.core.allocate.model import Attribute, Device
from amdgpu_dra.core.cel import (
    BoundDevice,
    CelCompileError,
    CelOptions,
    CelRuntimeError,
    bind_device,
    compile_derived,
    compile_selector,
)


class Selector:
    """A compiled selector. What it said of a device is kept with the device, whose value never changes."""

    __slots__ = ("_bind_as", "_program", "error", "expression")

    def __init__(self, expression: str, options: CelOptions, *, shares: bool) -> None:
        self.expression = expression
        self.error: CelCompileError | None = None
        self._bind_as = (options, shares)
        try:
            self._program = compile_selector(expression, options)
        except CelCompileError as error:
            self.error = error

    def matches(self, device: Device) -> bool:
        """Whether it selects the device.

        Raises:
            CelRuntimeError: it failed on this device.
        """
        known = device.memo.get(self)
        if known is None:
            try:
                known = self._program.matches(_bind(device, *self._bind_as))
            except CelRuntimeError as error:
                known = error
            device.memo[self] = known
        if isinstance(known, CelRuntimeError):
            raise known
        return known is True


class Derivation:
    """A compiled derived attribute."""

    __slots__ = ("_bind_as", "_program", "error")

    def __init__(self, expression: str, options: CelOptions) -> None:
        self.error: CelCompileError | None = None
        self._bind_as = (options, True)
        try:
            self._program = compile_derived(expression, options)
        except CelCompileError as error:
            self.error = error

    def of(self, device: Device) -> Attribute:
        """The attribute that the device has by it.

        Raises:
            CelRuntimeError: it failed on this device.
        """
        known = device.memo.get(self)
        if not isinstance(known, Attribute):
            known = decode_attribute(self._program.value(_bind(device, *self._bind_as)))
            device.memo[self] = known
        return known


class SelectorCache:
    """Compiled expressions. Share one among allocators, as a scheduler shares its cache of programs."""

    def __init__(self) -> None:
        self._selectors: dict[tuple[CelOptions, bool, str], Selector] = {}
        self._derivations: dict[tuple[CelOptions, str], Derivation] = {}

    def selector(self, expression: str, features: Features, variant: Variant) -> Selector:
        """The compiled selector; one that does not compile carries the error."""
        key = (_options(features), variant.shares, expression)
        if key not in self._selectors:
            self._selectors[key] = Selector(expression, key[0], shares=variant.shares)
        return self._selectors[key]

    def derivation(self, expression: str, features: Features) -> Derivation:
        """The compiled derived attribute; one that does not compile carries the error."""
        key = (_options(features), expression)
        if key not in self._derivations:
            self._derivations[key] = Derivation(expression, key[0])
        return self._derivations[key]


def _options(features: Features) -> CelOptions:
    return CelOptions(consumable_capacity=features.consumable_capacity, list_attributes=features.list_type_attributes)


def _bind(device: Device, options: CelOptions, shares: bool) -> BoundDevice:  # noqa: FBT001
    """The device as CEL sees it; the stable variant hides whether it may be shared."""
    key = (options, shares)
    known = device.memo.get(key)
    if not isinstance(known, BoundDevice):
        raw: Mapping[str, object] = device.raw
        if not shares:
            raw = {name: value for name, value in raw.items() if name != "allowMultipleAllocations"}
        known = bind_device(device.id.driver, raw, options)
        device.memo[key] = known
    return known

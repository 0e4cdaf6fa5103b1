"""Names of attributes and capacities: which are published, and which a claim spells otherwise."""

import difflib
from collections.abc import Iterable, Mapping

from amdgpu_dra.core.allocate import Claim, Device, DeviceClass, DeviceId, Features, Request, Slice
from amdgpu_dra.core.cel import AttributeRead, CelCompileError, CelOptions, Program, compile_selector

# As many of its values say what a device is.
_MOST_SHOWN = 3
_CLOSE, _CLOSE_IN_ALL = 0.6, 0.85


class Names:
    """What the devices of a cluster publish, under full names (`domain/id`), and what expressions read of it."""

    def __init__(self, slices: Iterable[Slice], features: Features) -> None:
        self._options = CelOptions(
            consumable_capacity=features.consumable_capacity, list_attributes=features.list_type_attributes
        )
        self._programs: dict[str, Program | None] = {}
        self.devices: dict[DeviceId, Device] = {}
        attributes: set[str] = set()
        capacities: set[str] = set()
        for item in slices:
            for device in item.devices:
                self.devices[device.id] = device
                attributes.update(_full(name, item.driver) for name in device.attributes)
                capacities.update(_full(name, item.driver) for name in device.capacity)
        self.attributes, self.capacities = frozenset(attributes), frozenset(capacities)

    def program(self, expression: str) -> Program | None:
        """The compiled selector; None if it does not compile."""
        if expression not in self._programs:
            try:
                self._programs[expression] = compile_selector(expression, self._options)
            except CelCompileError:
                self._programs[expression] = None
        return self._programs[expression]

    def show(self, expression: str, device: DeviceId | None) -> str:
        """The values of a device that the expression reads: `type=amdgpu, no xgmiHive`; empty if it reads none."""
        program, found = self.program(expression), self.devices.get(device) if device else None
        if program is None or found is None:
            return ""
        reads = program.attribute_reads[:_MOST_SHOWN]
        return ", ".join(_show(found, read) for read in reads)

    def nearest(self, name: str, *, capacity: bool = False) -> str:
        """A hint if no device publishes the full name, with the published one that is nearest to it; else empty."""
        known = self.capacities if capacity else self.attributes
        if name in known or not known:
            return ""
        close = _closest(name, known)
        return f"no device publishes {name}" + (f"; did you mean {close}?" if close else "")

    def notes(self, claim: Claim, classes: Mapping[str, DeviceClass]) -> tuple[str, ...]:
        """What is odd about the claim's expressions and constraints whatever the devices hold."""
        found: list[str] = []
        for request in _requests(claim):
            found += self._notes(request, f"request {request.full_name}", request.selectors)
            of_class = classes.get(request.class_name)
            found += self._notes(request, f"class {request.class_name}", of_class.selectors if of_class else ())
        for constraint in claim.constraints:
            name = constraint.match or constraint.distinct or ""
            derived = any(name in request.derived for request in _requests(claim))
            if name and not derived and (hint := self.nearest(name)):
                found.append(f"constraint: {hint}")
        return tuple(dict.fromkeys(found))

    def _notes(self, request: Request, where: str, selectors: Iterable[str | None]) -> Iterable[str]:
        for i, expression in enumerate(selectors):
            program = self.program(expression) if expression else None
            if program is None:
                continue
            for read in program.attribute_reads:
                if f"{read.domain}/{read.id}" in request.derived:
                    continue
                hint = self.nearest(f"{read.domain}/{read.id}", capacity=read.capacity)
                # Who asks whether it is there may mean it; who is close to another name hardly does.
                if hint and (not read.guarded or "?" in hint):
                    yield f"{where}, selector {i}: {hint}"
            if program.too_long or program.too_expensive:
                yield f"{where}, selector {i}: the API server refuses it in a new object, it is too long or too costly"


def _requests(claim: Claim) -> list[Request]:
    return [request for choice in claim.requests for request in choice.alternatives]


def _closest(name: str, known: Iterable[str]) -> str:
    """The known name that differs least; a domain that they share says nothing. Empty if none is close."""
    if "/" not in name:
        return next((item for item in sorted(known) if item.rpartition("/")[2] == name), "")
    domain = name.rpartition("/")[0] + "/"
    ids = {item.removeprefix(domain): item for item in sorted(known) if item.startswith(domain)}
    close = difflib.get_close_matches(name.removeprefix(domain), ids, n=1, cutoff=_CLOSE)
    if close:
        return ids[close[0]]
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1, cutoff=_CLOSE_IN_ALL)), "")


def _full(name: str, driver: str) -> str:
    return name if "/" in name else f"{driver}/{name}"


def _show(device: Device, read: AttributeRead) -> str:
    own = read.domain == device.id.driver
    names = (f"{read.domain}/{read.id}", read.id) if own else (f"{read.domain}/{read.id}",)
    for name in names:
        if read.capacity and name in device.capacity:
            return f"{read.id}={device.capacity[name].value}"
        if not read.capacity and name in device.attributes:
            return f"{read.id}={_value(device, name)}"
    return f"no {names[-1]}"


def _value(device: Device, name: str) -> str:
    """As it is published: `amdgpu`, `2`, `[a, b]`."""
    attribute = device.attributes[name]
    if attribute.scalar is not None:
        value = attribute.scalar[1]
        return str(value).lower() if isinstance(value, bool) else str(value)
    if attribute.members is not None:
        return "[" + ", ".join(sorted(map(str, attribute.members[1]))) + "]"
    return "?"

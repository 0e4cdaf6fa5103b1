"""matchAttribute and distinctAttribute while devices are added and taken back."""

from collections.abc import Callable

from amdgpu_dra.core.allocate.model import Attribute, Constraint, Device, Request

type Lookup = Callable[[Request, Device, str], Attribute | None]
"""The attribute of a device for a request; the name is fully qualified."""

type Value = tuple[str, object] | None


class Match:
    """All devices share the value or, with list attributes, at least one value.

    Monotonic: a device that is refused stays refused while others are added.
    """

    __slots__ = ("_lists", "_lookup", "_stack", "attribute", "constraint")

    def __init__(self, constraint: Constraint, lookup: Lookup, *, lists: bool) -> None:
        self.constraint, self.attribute = constraint, constraint.match or ""
        self._lookup, self._lists = lookup, lists
        self._stack: list[tuple[str, object] | None] = []

    def add(self, request: Request, device: Device) -> bool:
        """Adds the device, or refuses it and changes nothing."""
        attribute = self._lookup(request, device, self.attribute)
        if attribute is None:
            return False
        if self._lists:
            return self._add_members(attribute)
        if self._stack and (attribute.scalar is None or attribute.scalar != self._stack[0]):
            return False
        self._stack.append(attribute.scalar)
        return True

    def _add_members(self, attribute: Attribute) -> bool:
        members = attribute.members
        if members is None:
            return False
        if self._stack:
            kind, values = self._stack[-1] or ("", frozenset())
            if kind != members[0] or not isinstance(values, frozenset):
                return False
            common = values & members[1]
            if not common:
                return False
            members = (kind, common)
        self._stack.append(members)
        return True

    def remove(self) -> None:
        """Takes back the last device that was added."""
        self._stack.pop()


class Distinct:
    """No two devices share the value or, with list attributes, any value."""

    __slots__ = ("_lists", "_lookup", "_seen", "attribute", "constraint")

    def __init__(self, constraint: Constraint, lookup: Lookup, *, lists: bool) -> None:
        self.constraint, self.attribute = constraint, constraint.distinct or ""
        self._lookup, self._lists = lookup, lists
        self._seen: list[Attribute] = []

    def add(self, request: Request, device: Device) -> bool:
        """Adds the device, or refuses it and changes nothing."""
        attribute = self._lookup(request, device, self.attribute)
        if attribute is None:
            return False
        if not (self._disjoint(attribute) if self._lists else self._differs(attribute)):
            return False
        self._seen.append(attribute)
        return True

    def _differs(self, attribute: Attribute) -> bool:
        value = attribute.scalar
        return not self._seen or (value is not None and all(item.scalar != value for item in self._seen))

    def _disjoint(self, attribute: Attribute) -> bool:
        if attribute.members is None:
            return False
        kind, values = attribute.members
        return all(
            item.members is None or item.members[0] != kind or values.isdisjoint(item.members[1]) for item in self._seen
        )

    def remove(self) -> None:
        """Takes back the last device that was added."""
        self._seen.pop()


type Rule = Match | Distinct


def static_attribute(device: Device, name: str) -> Attribute | None:
    """The published attribute of a fully qualified name; within the driver's own domain the bare name will do."""
    found = device.attributes.get(name)
    if found is not None:
        return found
    domain, slash, bare = name.partition("/")
    return device.attributes.get(bare) if slash and domain == device.id.driver else None

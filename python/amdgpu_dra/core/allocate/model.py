"""What the allocator works on: the fields of Kubernetes' objects that decide, decoded once, immutable."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from amdgpu_dra.core.allocate.quantity import Quantity

type Counter = tuple[str, str]
"""Counter set and counter."""


class DeviceId(NamedTuple):
    """A device in the whole cluster."""

    driver: str
    pool: str
    device: str

    def __str__(self) -> str:
        return f"{self.driver}/{self.pool}/{self.device}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """An attribute's value, as constraints compare it.

    Attributes:
        scalar: kind and value; None for a list and for a kind that is not known.
        members: kind and values, where a scalar is a list of one; None for a kind that is not known.
    """

    scalar: tuple[str, object] | None
    members: tuple[str, frozenset[object]] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What shares of a capacity may be requested. `has_range` tells an empty range from none."""

    default: Quantity | None = None
    valid_values: tuple[Quantity, ...] = ()
    has_range: bool = False
    least: Quantity | None = None
    most: Quantity | None = None
    step: Quantity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """A capacity of a device and the policy for shares of it."""

    value: Quantity
    policy: Policy | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Taint:
    """A taint of a device; `effect` is its text, known or not."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One requirement of a node selector, on a label or (in `fields`) on metadata.name."""

    key: str
    operator: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """All of its requirements together."""

    labels: tuple[Requirement, ...] = ()
    fields: tuple[Requirement, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """From which nodes something can be reached. `node_name` is None where it is not set at all."""

    node_name: str | None = None
    all_nodes: bool = False
    selector: tuple[Term, ...] | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Device:
    """A device of a slice. Equal to itself alone.

    Attributes:
        attributes: name as published -> value.
        capacity: name as published -> capacity.
        takes: what it takes of the pool's counters while it is allocated, in nano units.
        groups: counter set -> compatibility groups, one row for each consumption.
        binding_conditions: None where the field is absent.
        placement: its own where its slice selects nodes by device, else its slice's.
        selects_nodes: whether `placement` is its own and must be matched.
        raw: its JSON, for selectors.
        memo: what pure functions said of this device, by what they were asked; not part of the value.
    """

    id: DeviceId
    attributes: Mapping[str, Attribute]
    capacity: Mapping[str, Capacity]
    takes: tuple[tuple[Counter, int], ...]
    groups: tuple[tuple[str, frozenset[str]], ...]
    taints: tuple[Taint, ...]
    allow_multiple: bool
    binding_conditions: tuple[str, ...] | None
    binding_failure_conditions: tuple[str, ...] | None
    binds_to_node: bool
    placement: Placement
    selects_nodes: bool
    skip_operations: tuple[str, ...]
    raw: Mapping[str, object] = field(repr=False)
    memo: dict[object, object] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Slice:
    """A ResourceSlice. Equal to itself alone.

    Attributes:
        by_device: `spec.perDeviceNodeSelection`; None where the field is absent.
        counters: counter set -> counter -> its value in nano units; rows in order, sets may repeat (that is an error).
        uses_groups: whether a device declares compatibility groups.
    """

    name: str
    driver: str
    pool: str
    generation: int
    slice_count: int
    placement: Placement
    by_device: bool | None
    counters: tuple[tuple[str, Mapping[str, int]], ...]
    devices: tuple[Device, ...]
    uses_groups: bool
    twice: str | None
    has_binding: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node: name, labels, and the features that its kubelet declares."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    declared_features: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceClass:
    """A class: its selectors (None: of a kind that is not CEL) and configurations as JSON."""

    name: str
    selectors: tuple[str | None, ...] = ()
    config: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Toleration:
    """A toleration of taints; `raw` is its JSON, which goes into the result."""

    key: str
    operator: str
    value: str
    effect: str
    raw: Mapping[str, object]

    def tolerates(self, taint: Taint) -> bool:
        """Whether a device with this taint may be used nevertheless."""
        if self.effect not in {"", taint.effect} or self.key not in {"", taint.key}:
            return False
        return self.operator == "Exists" or (self.operator in {"", "Equal"} and self.value == taint.value)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Request:
    """A request, or an alternative of one.

    Attributes:
        name: its own name, without its parent's.
        parent: the request it is an alternative of; empty where it is none.
        admin_access: None where the field is absent.
        capacity: requested capacity by name.
        has_capacity: whether the field is there at all.
        derived: attribute name -> CEL expression.
    """

    name: str
    parent: str
    class_name: str
    mode: str
    count: int
    selectors: tuple[str | None, ...]
    tolerations: tuple[Toleration, ...]
    admin_access: bool | None
    capacity: Mapping[str, Quantity]
    has_capacity: bool
    derived: Mapping[str, str]

    @property
    def full_name(self) -> str:
        """As results name it: `request`, or `request/alternative`."""
        return f"{self.parent}/{self.name}" if self.parent else self.name


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RequestChoice:
    """A request of a claim: exactly one alternative (itself), or several in order of preference."""

    name: str
    alternatives: tuple[Request, ...]
    prioritized: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """A constraint: `match` or `distinct` names the attribute; both None is a kind that is not known."""

    requests: frozenset[str]
    match: str | None
    distinct: str | None

    def applies(self, request: Request) -> bool:
        """Whether it looks at the devices of this request."""
        if not self.requests:
            return True
        return (request.parent or request.name) in self.requests or request.full_name in self.requests


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Claim:
    """A ResourceClaim that wants devices; `config` are its configurations as JSON."""

    name: str
    namespace: str
    uid: str
    requests: tuple[RequestChoice, ...]
    constraints: tuple[Constraint, ...]
    config: tuple[Mapping[str, object], ...]

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

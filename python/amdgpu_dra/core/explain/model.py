"""What is asked and what is answered."""

from dataclasses import dataclass
from enum import StrEnum

from amdgpu_dra.core.allocate import (
    MOST_STEPS,
    AllocatedState,
    Claim,
    DeviceClass,
    DeviceId,
    Features,
    Node,
    Refusal,
    Slice,
)


class Verdict(StrEnum):
    """What the claim comes to."""

    FITS = "fits"
    ALLOCATED = "allocated"
    REFUSED = "refused"
    ERROR = "error"
    """On some node the allocator ends with an error, which ends the scheduler's attempt on all of them."""
    UNKNOWN = "unknown"
    """Nothing was found before the search was ended by its limit."""


class Cause(StrEnum):
    """Why not: the allocator's reasons, its errors by kind, and what there is before any device is looked at."""

    ALLOCATED = "allocated"
    EARLIER_CLAIM = "earlier-claim"
    CLASS_SELECTOR = "class-selector"
    REQUEST_SELECTOR = "request-selector"
    TAINT = "taint"
    COUNTER = "counter"
    COUNTER_OVERDRAWN = "counter-overdrawn"
    COMPATIBILITY = "compatibility"
    CAPACITY = "capacity"
    CAPACITY_UNKNOWN = "capacity-unknown"
    CAPACITY_POLICY = "capacity-policy"
    ATTRIBUTE_MISSING = "attribute-missing"
    MATCH = "match-attribute"
    DISTINCT = "distinct-attribute"
    TOO_FEW = "too-few"
    TOGETHER = "not-together"
    NODE_SELECTION = "node-selection"
    BINDING_CONDITIONS = "binding-conditions"
    PARTITIONS_OFF = "partitions-off"
    NODE_OPERATIONS = "node-operations"
    POOL_INCOMPLETE = "pool-incomplete"
    POOL_INVALID = "pool-invalid"
    COMPILE_ERROR = "compile-error"
    MISSING_KEY = "missing-key"
    RUNTIME_ERROR = "runtime-error"
    NO_CLASS = "no-class"
    ALL_UNREADY = "all-unready"
    TOO_MANY = "too-many"
    FEATURE_OFF = "feature-off"
    ERROR = "error"
    NO_DEVICES = "no-devices"
    NO_SLICES = "no-slices"

    @property
    def is_error(self) -> bool:
        """Whether it ends the attempt on every node."""
        return self in _ERRORS


_ERRORS = frozenset(
    {
        Cause.COMPILE_ERROR,
        Cause.MISSING_KEY,
        Cause.RUNTIME_ERROR,
        Cause.NO_CLASS,
        Cause.ALL_UNREADY,
        Cause.TOO_MANY,
        Cause.FEATURE_OFF,
        Cause.ERROR,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What the scheduler knows. The order of its parts is of no weight."""

    features: Features
    slices: tuple[Slice, ...]
    classes: tuple[DeviceClass, ...]
    nodes: tuple[Node, ...]
    state: AllocatedState


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A claim, where it is to fit, and for how long to search.

    Attributes:
        held: request and device (`pool/device`) of what the claim has already.
        most_steps: of all nodes together. A node always gets some, so that the simple cases stay certain.
    """

    cluster: Cluster
    claim: Claim
    held: tuple[tuple[str, str], ...] = ()
    most_steps: int = MOST_STEPS


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Refusals of one cause.

    Attributes:
        first: the one of the first node and device.
        count: refusals.
        devices: which were refused; none where no device was looked at.
        example: a device (`pool/device`), else the pool or the node that is meant.
        holders: who has these devices, who has most of them first.
        available: of the node where it is most, if it counts devices; else of `first`.
        subject: what `first` names, or what its error is about.
        detail: an expression or a text, in one line.
    """

    cause: Cause
    first: Refusal
    count: int
    devices: frozenset[DeviceId]
    nodes: int
    requests: tuple[str, ...]
    example: str
    holders: tuple[str, ...]
    subject: str
    detail: str
    available: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One cause in words: a count, a reason, one example and what to change.

    Attributes:
        count: refusals; for a cause that concerns whole nodes, nodes.
        example: `pool/device`, a pool or a node; empty if there is none.
    """

    cause: Cause
    count: int
    devices: frozenset[DeviceId]
    nodes: int
    requests: tuple[str, ...]
    example: str
    reason: str
    change: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The answer.

    Attributes:
        nodes, devices: that were asked.
        fitting, failing, unsure: nodes that can serve the claim, that end with an error, and whose search was ended.
        place: the first fitting node.
        gets: request and device (`pool/device`) there, or what the claim has.
        rows: why not, errors first, then the most frequent; empty if it fits.
        notes: what is odd about the claim itself.
    """

    claim: str
    verdict: Verdict
    nodes: int
    devices: int
    fitting: int = 0
    failing: int = 0
    unsure: int = 0
    place: str = ""
    gets: tuple[tuple[str, str], ...] = ()
    rows: tuple[Row, ...] = ()
    notes: tuple[str, ...] = ()

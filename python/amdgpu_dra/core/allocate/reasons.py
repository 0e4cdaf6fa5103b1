"""Why a device cannot serve a request, as data."""

from dataclasses import dataclass
from enum import Enum

from amdgpu_dra.core.allocate.model import DeviceId


class Reason(Enum):
    """What refused. The value is the code that programs may rely on."""

    ERROR = "error"
    """The attempt ends with an error before or at this device; `detail` is upstream's text."""
    POOL_INCOMPLETE = "pool-incomplete"
    """Slices of the pool's newest generation are missing; `subject` is the pool."""
    POOL_INVALID = "pool-invalid"
    """The pool contradicts itself; `subject` is the pool, `detail` how."""
    ALLOCATED = "allocated"
    """Claims hold it; `holders` are they, where that is known."""
    EARLIER_CLAIM = "earlier-claim"
    """A claim of the same pod that is served before takes it; `holders` is that claim."""
    BINDING_CONDITIONS = "binding-conditions"
    """It has binding conditions, and the feature is off."""
    CLASS_SELECTOR = "class-selector"
    """A selector of the class is false; `subject` is the class, `index` the selector, `detail` its expression."""
    REQUEST_SELECTOR = "request-selector"
    """A selector of the request is false; `index` is the selector, `detail` its expression."""
    NODE_SELECTION = "node-selection"
    """The device itself says that this node cannot reach it."""
    CAPACITY_UNKNOWN = "capacity-unknown"
    """It has no capacity `subject`, which is requested."""
    CAPACITY_POLICY = "capacity-policy"
    """Its policy for capacity `subject` does not allow `needed`."""
    CAPACITY = "capacity"
    """Of capacity `subject` there is `available`, `needed` is requested; `holders` have the rest."""
    NODE_OPERATIONS = "node-operations"
    """It needs the kubelet to skip node operations, and cluster or node cannot."""
    PARTITIONS_OFF = "partitions-off"
    """It takes shared counters, and the feature is off."""
    COMPATIBILITY = "compatibility"
    """It does not go with the devices that are on counter set `subject`; `holders` are they or their claims."""
    COUNTER = "counter"
    """Of counter `subject` (set/counter) there is `available`, it takes `needed`; `holders` have the rest."""
    COUNTER_OVERDRAWN = "counter-overdrawn"
    """More is held of another counter of the pool (`subject`) than there is, which blocks the whole pool."""
    TAINT = "taint"
    """The taint `subject` (key=value:effect) is not tolerated."""
    ATTRIBUTE_MISSING = "attribute-missing"
    """It has no attribute `subject`, which a constraint compares."""
    MATCH = "match-attribute"
    """Only `available` devices that would do share its value of attribute `subject`, `needed` are wanted."""
    DISTINCT = "distinct-attribute"
    """The devices that would do have only `available` values of attribute `subject`, `needed` are wanted."""
    TOO_FEW = "too-few"
    """Nothing refuses it, but only `available` devices would do and `needed` are wanted."""
    TOGETHER = "not-together"
    """Nothing refuses it alone; counters, constraints or other requests refuse every combination."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One device of one node that cannot serve one request, and the first thing that refused it, in upstream's order.

    Attributes:
        node: the node's name.
        request: `request`, or `request/alternative`; empty where no request was looked at.
        device: None where a pool or the whole attempt is meant.
        subject: what refused, as its reason says.
        index: which selector, from 0.
        needed: how much or how many is wanted, as text; empty where there is nothing to count.
        available: how much or how many there is.
        holders: claims (`namespace/name`) or, where those are not known, devices that have it.
        detail: an expression or a text of upstream's.
    """

    node: str
    request: str
    device: DeviceId | None
    reason: Reason
    subject: str = ""
    index: int | None = None
    needed: str = ""
    available: str = ""
    holders: tuple[str, ...] = ()
    detail: str = ""

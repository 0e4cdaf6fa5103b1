"""What each cause means and what to change, as a table; `docs/reference/refusals.md` is generated from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from amdgpu_dra.core.explain.model import Cause, Group, Row
from amdgpu_dra.core.explain.names import Names

_LONGEST = 120
_MOST_NAMED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A reason and what to change, with {placeholders}."""

    reason: str
    change: str


WORDS: Mapping[Cause, Words] = MappingProxyType(
    {
        Cause.ALLOCATED: Words(
            reason="held by {holders}",
            change="wait until it is free, delete what no longer needs it, or add nodes",
        ),
        Cause.EARLIER_CLAIM: Words(
            reason="taken by {holders} of the same pod",
            change="ask for both in one claim, or for fewer devices",
        ),
        Cause.CLASS_SELECTOR: Words(
            reason="class {subject} does not select it by {detail}{shown}",
            change="ask by another class, or add nodes with such devices",
        ),
        Cause.REQUEST_SELECTOR: Words(
            reason="not selected by {detail}{shown}",
            change="relax the selector, or add nodes with such devices",
        ),
        Cause.TAINT: Words(
            reason="tainted {subject}",
            change="clear what caused the taint, or add a toleration to the request",
        ),
        Cause.COUNTER: Words(
            reason="what it is cut from is in use by {holders}; of {subject} it needs {needed} and {available} is left",
            change="wait for those, or ask for a device of the mode that is in use",
        ),
        Cause.COUNTER_OVERDRAWN: Words(
            reason="more is held of counter {subject} than there is, by {holders}, which blocks the whole pool",
            change="delete the pods of those claims: devices are held that cannot exist together",
        ),
        Cause.COMPATIBILITY: Words(
            reason="does not go with what is in use of {subject}, by {holders}",
            change="wait for those, or ask for a device of the same compatibility group",
        ),
        Cause.CAPACITY: Words(
            reason="of {subject} {needed} is asked, and it has {available} left",
            change="ask for less of it, or wait until shares are given back",
        ),
        Cause.CAPACITY_UNKNOWN: Words(
            reason="has no capacity {subject}, of which {needed} is asked",
            change="select devices that have it, or drop it from capacity.requests",
        ),
        Cause.CAPACITY_POLICY: Words(
            reason="does not give {needed} of {subject} by its request policy",
            change="ask for an amount that the device's requestPolicy allows",
        ),
        Cause.ATTRIBUTE_MISSING: Words(
            reason="has no attribute {subject}, which a constraint compares",
            change="select devices that have it, or drop the constraint",
        ),
        Cause.MATCH: Words(
            reason="at most {available} devices of a node that would do share {subject}, {needed} are wanted",
            change="ask for at most {available}, or drop matchAttribute",
        ),
        Cause.DISTINCT: Words(
            reason="the devices of a node that would do have at most {available} values of {subject}, "
            "{needed} are wanted",
            change="ask for at most {available}, or drop distinctAttribute",
        ),
        Cause.TOO_FEW: Words(
            reason="would do, but a node has at most {available} such devices and {needed} are wanted",
            change="ask for at most {available} in one claim, or wait until more are free",
        ),
        Cause.TOGETHER: Words(
            reason="would do alone, but counters, constraints or the other requests allow no combination",
            change="ask for fewer devices or for fewer constraints in one claim",
        ),
        Cause.NODE_SELECTION: Words(
            reason="says itself that the node cannot reach it",
            change="nothing, if other nodes can; else correct nodeSelector in the device's slice",
        ),
        Cause.BINDING_CONDITIONS: Words(
            reason="has binding conditions, which the cluster does not know",
            change="turn on the feature gate DRADeviceBindingConditions",
        ),
        Cause.PARTITIONS_OFF: Words(
            reason="takes shared counters, which the cluster does not know",
            change="turn on the feature gate DRAPartitionableDevices",
        ),
        Cause.NODE_OPERATIONS: Words(
            reason="wants the kubelet to skip {subject}, which cluster or node cannot",
            change="turn on the feature gate DRAOptionalNodeOperations, and update the node",
        ),
        Cause.POOL_INCOMPLETE: Words(
            reason="slices of the pool's newest generation are missing",
            change="wait, and give all slices; if it lasts, see the log of the plugin on that node",
        ),
        Cause.POOL_INVALID: Words(
            reason="the pool contradicts itself: {detail}",
            change="see the log of the plugin on that node; its slices are wrong",
        ),
        Cause.COMPILE_ERROR: Words(
            reason="{subject} does not compile: {detail}",
            change="correct the expression",
        ),
        Cause.MISSING_KEY: Words(
            reason="{subject} reads {detail}, which it has not; that ends the attempt on every node",
            change="ask before, has(….{detail}) && …, or read ….?{detail}.orValue(…)",
        ),
        Cause.RUNTIME_ERROR: Words(
            reason="{subject} fails on it: {detail}; that ends the attempt on every node",
            change="write the expression so that it holds for every device that the ones before it select",
        ),
        Cause.NO_CLASS: Words(
            reason="there is no DeviceClass {subject}",
            change="correct deviceClassName (known: {classes}), or create the class",
        ),
        Cause.ALL_UNREADY: Words(
            reason="all devices are asked for and a pool is {detail}",
            change="wait; if it lasts, see the log of the plugin on that node, or use ExactCount",
        ),
        Cause.TOO_MANY: Words(
            reason="{detail}",
            change="ask for at most 32 devices in one claim; with All, select fewer",
        ),
        Cause.FEATURE_OFF: Words(
            reason="{detail}",
            change="turn the feature gate on, or leave the field out",
        ),
        Cause.ERROR: Words(
            reason="{detail}",
            change="correct the claim or the object that is named",
        ),
        Cause.NO_DEVICES: Words(
            reason="no slice has a device for the node",
            change="see whether the plugin's pod runs there, and its log, which names what is withheld",
        ),
        Cause.NO_SLICES: Words(
            reason="there are no ResourceSlices",
            change="install the driver, or see why its pods do not run; give the slices with --slices",
        ),
    }
)


def describe(group: Group, names: Names, classes: tuple[str, ...]) -> Row:
    """The group in words."""
    words = WORDS[group.cause]
    values = {
        "subject": group.subject,
        "detail": _cut(group.detail),
        "needed": group.first.needed,
        "available": group.available,
        "holders": name_holders(group.holders),
        "shown": _shown(group, names),
        "classes": ", ".join(classes) or "none",
    }
    return Row(
        cause=group.cause,
        count=group.count,
        devices=group.devices,
        nodes=group.nodes,
        requests=group.requests,
        example=group.example,
        reason=words.reason.format_map(values),
        change=words.change.format_map(values),
    )


def name_holders(holders: tuple[str, ...]) -> str:
    """`ml/a`; `ml/a, ml/b and 3 others`."""
    if not holders:
        return "a claim that was not given"
    more = len(holders) - _MOST_NAMED
    named = ", ".join(holders[:_MOST_NAMED])
    return named if more <= 0 else f"{named} and {more} other{'s' if more > 1 else ''}"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _shown(group: Group, names: Names) -> str:
    if group.cause not in {Cause.CLASS_SELECTOR, Cause.REQUEST_SELECTOR}:
        return ""
    shown = names.show(group.first.detail, group.first.device)
    return f" (it has {shown})" if shown else ""

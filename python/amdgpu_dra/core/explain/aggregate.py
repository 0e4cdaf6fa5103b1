"""Refusals -> the few causes that stand behind them."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from amdgpu_dra.core.allocate import Reason, Refusal
from amdgpu_dra.core.explain.errors import ErrorKind, classify_error
from amdgpu_dra.core.explain.model import Cause, Group

# What these name differs from GPU to GPU or from node to node.
_OF_ONE_GPU = frozenset({Reason.COUNTER, Reason.COUNTER_OVERDRAWN, Reason.COMPATIBILITY})
_OF_ONE_NODE = frozenset({Reason.POOL_INCOMPLETE, Reason.POOL_INVALID})
_COUNTS = frozenset({Reason.TOO_FEW, Reason.MATCH, Reason.DISTINCT})

type Key = tuple[str, ...]


def aggregate(refusals: Iterable[Refusal]) -> tuple[Group, ...]:
    """One group for each cause and what it is about, over all nodes, devices and requests; the largest first."""
    kinds: dict[str, ErrorKind] = {}
    members: dict[Key, list[Refusal]] = defaultdict(list)
    for row in sorted(refusals, key=_order):
        members[_key(row, kinds)].append(row)
    groups = [(key, _group(rows, kinds)) for key, rows in members.items()]
    return tuple(group for _, group in sorted(groups, key=lambda pair: (-pair[1].count, pair[0])))


def _order(row: Refusal) -> tuple[str | int, ...]:
    return (row.node, *(row.device or ("", "", "")), row.request, row.reason.value, row.subject, row.detail)


def _kind(row: Refusal, kinds: dict[str, ErrorKind]) -> ErrorKind:
    if row.detail not in kinds:
        kinds[row.detail] = classify_error(row.detail)
    return kinds[row.detail]


def _key(row: Refusal, kinds: dict[str, ErrorKind]) -> Key:
    if row.reason is Reason.ERROR:
        kind = _kind(row, kinds)
        return kind.cause, kind.subject, kind.detail
    if row.reason in _OF_ONE_GPU or row.reason in _OF_ONE_NODE:
        return (row.reason.value,)
    return row.reason.value, row.subject, row.detail, row.needed


def _group(rows: list[Refusal], kinds: dict[str, ErrorKind]) -> Group:
    first = rows[0]
    error = _kind(first, kinds) if first.reason is Reason.ERROR else None
    held = Counter(holder for row in rows for holder in dict.fromkeys(row.holders))
    return Group(
        cause=error.cause if error else Cause(first.reason.value),
        first=first,
        count=len(rows),
        devices=frozenset(row.device for row in rows if row.device is not None),
        nodes=len({row.node for row in rows}),
        requests=tuple(sorted({row.request for row in rows if row.request})),
        example=_example(first, error),
        holders=tuple(sorted(held, key=lambda name: (-held[name], name))),
        subject=error.subject if error else first.subject,
        detail=error.detail if error else " ".join(first.detail.split()),
        available=str(max(int(row.available) for row in rows)) if first.reason in _COUNTS else first.available,
    )


def _example(first: Refusal, error: ErrorKind | None) -> str:
    if first.device is not None:
        return f"{first.device.pool}/{first.device.device}"
    if error is not None and error.example:
        return error.example.partition("/")[2]
    return first.subject.partition("/")[2] or first.node

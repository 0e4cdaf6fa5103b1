"""What a call costs when it is run, counted as Kubernetes counts it."""

import math

from amdgpu_dra.core.cel.nameformats import Format
from amdgpu_dra.core.cel.prices import LIST_CALLS, LIST_COST, PATTERN, TRAVERSAL, UNIT_CALLS
from amdgpu_dra.core.cel.values import MAX_UINT, Opaque, Optional, Value, size_of

__all__ = ["Cancelled", "Meter", "call_cost"]

_ONE, _WHOLE_LIST = frozenset(UNIT_CALLS), frozenset(LIST_CALLS)
_SCAN = frozenset(
    [
        "url",
        "lowerAscii",
        "upperAscii",
        "substring",
        "trim",
        "cidr",
        "isIP",
        "isCIDR",
        "ip",
        "quantity",
        "isQuantity",
        "semver",
        "isSemver",
    ]
)
_TWICE = frozenset({"replace", "split", "ip.isCanonical"})
_OUTPUT_LIST = frozenset({"list_slice", "lists_range", "list_reverse"})
_SETS = {"list_sets_contains_list": 1, "list_sets_intersects_list": 1, "list_sets_equivalent_list": 2}
_FIRST_SCANNED = frozenset({"string_to_bytes", "bytes_to_string", "strings_quote", "string_format"})
_ORDERINGS = frozenset(
    f"{name}_{kind}" for name in ("less", "greater", "less_equals", "greater_equals") for kind in ("string", "bytes")
) | {"equals", "not_equals"}


class Cancelled(Exception):  # noqa: N818 (not an error of the expression: nothing in it may catch this)
    """The evaluation cost more than it may."""


class Meter:
    """Counts cost up to a limit."""

    __slots__ = ("cost", "limit")

    def __init__(self, limit: int) -> None:
        self.cost = 0
        self.limit = limit

    def add(self, cost: int) -> None:
        """Counts more.

        Raises:
            Cancelled: that is more than the limit.
        """
        self.cost += cost
        if self.cost > self.limit:
            raise Cancelled


def _scan(size: int, factor: float = TRAVERSAL) -> int:
    return math.ceil(size * factor)


def call_cost(function: str, overload: str, args: list[Value], result: Value) -> int:
    """The cost of one call; `overload` is empty where the checker left several."""
    if overload in _SETS:
        return 1 + size_of(args[0]) * size_of(args[1]) * _SETS[overload]
    if overload.startswith("list") and (cost := _list_cost(overload, args, result)) is not None:
        return cost
    cost = _kubernetes_cost(function, overload, args, result)
    return _standard_cost(overload, args) if cost is None else cost


def _list_cost(overload: str, args: list[Value], result: Value) -> int | None:
    """The functions of cel-go's list library, which charge for the list that they make."""
    if overload in _OUTPUT_LIST:
        return 1 + LIST_COST + size_of(result)
    if overload.startswith("list_flatten"):
        depth = args[1] if len(args) > 1 and isinstance(args[1], int) else 1
        return 1 + LIST_COST + size_of(args[0]) * (1 if depth < 0 else depth)
    if overload == "list_distinct" or overload.endswith("_sort"):
        return _self_compare(args[0])
    return _self_compare(args[1]) if overload.endswith("_sortByAssociatedKeys") else None


def _self_compare(items: Value) -> int:
    size = size_of(items)
    factor = 2.0
    if isinstance(items, tuple) and items and isinstance(items[0], (str, bytes)):
        factor += TRAVERSAL
    return min(MAX_UINT, int(size * size * factor)) + 1 + LIST_COST


def _kubernetes_cost(function: str, overload: str, args: list[Value], result: Value) -> int | None:  # noqa: PLR0911 (one for each group of functions)
    if function in _ONE or overload == "cidr_ip":
        return 1
    if function in _WHOLE_LIST:
        return _traversal(args[0])
    if function in _SCAN:
        return _scan(_plain_size(args[0]))
    if function in _TWICE:
        return _scan(_plain_size(args[0]), 2 * TRAVERSAL)
    if function == "join":
        return _scan(_plain_size(result), 2 * TRAVERSAL)
    if function in {"find", "findAll"}:
        return _search(_plain_size(args[0]), _plain_size(args[1]))
    if function in {"containsIP", "containsCIDR"}:
        return _containment(overload, args)
    if function == "validate" and isinstance(args[0], Format):
        return _search(_plain_size(args[1]), args[0].pattern_size)
    return 1 if function == "_==_" and isinstance(args[0], Opaque) else None


def _plain_size(value: Value) -> int:
    return 1 if isinstance(value, Optional) else size_of(value)


def _traversal(value: Value) -> int:
    if isinstance(value, str):
        return int(len(value.encode()) * TRAVERSAL)
    if isinstance(value, bytes):
        return int(len(value) * TRAVERSAL)
    if isinstance(value, tuple):
        return sum(map(_traversal, value))
    if isinstance(value, dict):
        return sum(_traversal(key) + _traversal(item) for key, item in value.items())
    return 1


def _search(text: int, pattern: int) -> int:
    return math.ceil((1.0 + text) * TRAVERSAL) * math.ceil(pattern * PATTERN)


def _containment(overload: str, args: list[Value]) -> int:
    network, other = _plain_size(args[0]), _plain_size(args[1])
    cost = _scan(2 * network)
    if "contains_cidr" in overload:
        cost += _scan(network) + 1
    return cost + (_scan(other) if overload.endswith("_string") else 0)


def _inner_size(value: Value) -> int:
    while isinstance(value, Optional) and value.present:
        value = value.value
    return size_of(value)


def _standard_cost(overload: str, args: list[Value]) -> int:  # noqa: PLR0911 (one for each group of functions)
    sizes = [_inner_size(arg) for arg in args]
    if overload in {"starts_with_string", "ends_with_string"}:
        return _scan(sizes[1])
    if overload in _FIRST_SCANNED:
        return _scan(sizes[0])
    if overload == "in_list":
        return sizes[1]
    if overload in _ORDERINGS:
        return _scan(min(sizes))
    if overload in {"add_string", "add_bytes"}:
        return _scan(sum(sizes))
    if overload in {"matches", "matches_string"}:
        return _search(sizes[0], sizes[1])
    return _scan(sizes[0]) * _scan(sizes[1]) if overload == "contains_string" else 1

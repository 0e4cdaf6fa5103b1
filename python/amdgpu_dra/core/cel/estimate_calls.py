"""The estimated cost of calls of the functions that Kubernetes and cel-go's libraries add."""

from collections.abc import Callable
from dataclasses import dataclass

from amdgpu_dra.core.cel.device_sizes import size_at
from amdgpu_dra.core.cel.kinds import CelType
from amdgpu_dra.core.cel.prices import LIST_CALLS, LIST_COST, PATTERN, TRAVERSAL, UNIT_CALLS
from amdgpu_dra.core.cel.ranges import ONE, UNKNOWN, Range, fixed
from amdgpu_dra.core.cel.syntax import Literal, Node
from amdgpu_dra.core.cel.values import MAX_UINT

__all__ = ["Estimate", "Operand", "library_estimate"]

_LIST_COST = fixed(LIST_COST)
_LONGEST_FORMAT, _LONGEST_FORMAT_PATTERN = 64, 128
_ADDRESS = Range(4, 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operand:
    """A target or argument: its node, type, path from the device and size, where known."""

    node: Node
    kind: CelType
    path: tuple[str, ...] | None
    size: Range | None

    @property
    def sized(self) -> Range:
        """The size, or that anything is possible."""
        return self.size or _by_path(self.path) or UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The cost of a call without its arguments, and the size of what it gives."""

    cost: Range
    size: Range | None = None


type Operands = list[Operand]
type Estimator = Callable[[Operand | None, Operands, str], Estimate | None]


def library_estimate(function: str, overload: str, target: Operand | None, args: Operands) -> Estimate | None:
    """The estimate; None for functions that cel-go charges for by itself."""
    by_overload = _BY_OVERLOAD.get(_overload_group(overload))
    if by_overload is not None:
        found = by_overload(target, args, overload)
        if found is not None:
            return found
    by_name = _BY_NAME.get(function)
    return None if by_name is None else by_name(target, args, overload)


def _overload_group(overload: str) -> str:
    if overload.startswith("list_") and overload.endswith(("_sort", "_sortByAssociatedKeys")):
        return overload.rpartition("_")[2]
    return overload


def _by_path(path: tuple[str, ...] | None) -> Range | None:
    most = size_at(path or ())
    return None if most is None else Range(0, most)


def _number(operand: Operand, default: int) -> int:
    """The value of a constant whole number."""
    value = operand.node.value if isinstance(operand.node, Literal) else None
    return max(0, value) if type(value) is int else default


def _new_list(factor: float, size: Range) -> Estimate:
    return Estimate(cost=size.scaled(factor) + ONE + _LIST_COST, size=size)


def _slice(target: Operand | None, args: Operands, _overload: str) -> Estimate | None:
    if target is None:
        return None
    start, end = _number(args[0], 0), _number(args[1], target.sized.high)
    return _new_list(1, fixed((end - start) % (MAX_UINT + 1)))


def _range(_target: Operand | None, args: Operands, _overload: str) -> Estimate | None:
    return _new_list(1, fixed(_number(args[0], MAX_UINT)))


def _reverse(target: Operand | None, _args: Operands, _overload: str) -> Estimate | None:
    return None if target is None else _new_list(1, target.sized)


def _flatten(target: Operand | None, args: Operands, _overload: str) -> Estimate | None:
    depth = _number(args[0], MAX_UINT) if args else 1
    return None if target is None else _new_list(float(depth), target.sized)


def _distinct(target: Operand | None, _args: Operands, _overload: str) -> Estimate | None:
    return None if target is None else _new_list(2, target.sized * target.sized)


def _sort(target: Operand | None, args: Operands, overload: str) -> Estimate | None:
    judged = args[0] if args else target
    if judged is None:
        return None
    factor = 2 + TRAVERSAL if "_string_" in overload or "_bytes_" in overload else 2
    return _new_list(factor, judged.sized * judged.sized)


def _sets(target: Operand | None, args: Operands, overload: str) -> Estimate | None:
    del target
    factor = 2 if "equivalent" in overload else 1
    return Estimate(cost=(args[0].sized * args[1].sized).scaled(factor) + ONE)


def _nominal(_target: Operand | None, _args: Operands, _overload: str) -> Estimate | None:
    return Estimate(cost=ONE)


def _authorize(_target: Operand | None, _args: Operands, _overload: str) -> Estimate | None:
    return Estimate(cost=fixed(350_000))


def _requirements(_target: Operand | None, args: Operands, _overload: str) -> Estimate | None:
    if len(args) != 1:
        return None
    size = args[0].sized
    return Estimate(cost=_LIST_COST + size.scaled(TRAVERSAL) + size.scaled(0.5).scaled(50))


def _element(target: Operand) -> Operand | None:
    """What a list holds."""
    if not target.kind.params:
        return None
    path = None if not target.path else (*target.path, "@items")
    return Operand(node=target.node, kind=target.kind.params[0], path=path, size=None)


def _over_list(target: Operand | None, _args: Operands, overload: str) -> Estimate | None:
    if target is None:
        return None
    element = _element(target)
    if element is None and overload != "list_includes_dyn_dyn":
        return Estimate(cost=target.sized.scaled(TRAVERSAL))
    each = ONE
    if element is not None and element.kind.kind in {"string", "bytes"}:
        each += element.sized.scaled(TRAVERSAL)
    return Estimate(cost=target.sized * each)


def _parsed(factor: float = TRAVERSAL, *, keeps_size: bool = False) -> Estimator:
    """A string that is read once or more."""

    def run(_target: Operand | None, args: Operands, _overload: str) -> Estimate | None:
        if not args:
            return None
        return Estimate(cost=args[0].sized.scaled(factor), size=args[0].sized if keeps_size else None)

    return run


def _transformed(target: Operand | None, _args: Operands, _overload: str) -> Estimate | None:
    return None if target is None else Estimate(cost=target.sized.scaled(TRAVERSAL), size=target.sized)


def _replace(target: Operand | None, args: Operands, _overload: str) -> Estimate | None:
    if target is None or len(args) < 2:  # noqa: PLR2004 (old and new)
        return None
    size, old, new = target.sized, args[0].sized, args[1].sized
    most, kept_most = _most_replaced(size, old, new)
    least, kept_least = _least_replaced(size, old, new)
    result = Range(least, most) * new + Range(kept_least, kept_most)
    return Estimate(cost=size.scaled(2 * TRAVERSAL), size=result)


def _most_replaced(size: Range, old: Range, new: Range) -> tuple[int, int]:
    """How many replacements make the longest result, and how much of the text stays."""
    if old.low == 0:
        return min(size.high + 1, MAX_UINT), size.high
    if new.high <= old.low:
        return 0, size.high
    return Range(size.high, size.high).scaled(1 / old.low).high, 0


def _least_replaced(size: Range, old: Range, new: Range) -> tuple[int, int]:
    if old.high == 0:
        return min(size.low + 1, MAX_UINT), size.low
    if old.high <= new.low:
        return 0, size.low
    return Range(size.low, size.low).scaled(1 / old.high).low, 0


def _split(target: Operand | None, args: Operands, _overload: str) -> Estimate | None:
    if target is None:
        return None
    most = target.sized.high
    if len(args) > 1 and isinstance(args[1].node, Literal) and type(args[1].node.value) is int:
        most = args[1].node.value % (MAX_UINT + 1)
    return Estimate(cost=target.sized.scaled(2 * TRAVERSAL), size=Range(0, most))


def _join(target: Operand | None, args: Operands, _overload: str) -> Estimate | None:
    if target is None:
        return None
    size, count, element = Range(), target.sized, _element(target)
    if element is not None:
        size = count * element.sized
    if args:
        size += args[0].sized * Range(max(0, count.low - 1), max(0, count.high - 1))
    return Estimate(cost=size.scaled(TRAVERSAL), size=size)


def _find(target: Operand | None, args: Operands, _overload: str) -> Estimate | None:
    if target is None or not args:
        return None
    cost = (target.sized + ONE).scaled(TRAVERSAL) * args[0].sized.scaled(PATTERN)
    return Estimate(cost=cost, size=Range(0, target.sized.high))


def _ip(target: Operand | None, args: Operands, overload: str) -> Estimate | None:
    return Estimate(cost=ONE) if overload == "cidr_ip" else _parsed()(target, args, overload)


def _contains(target: Operand | None, args: Operands, overload: str) -> Estimate | None:
    del target
    if not args:
        return None
    cost = (_ADDRESS + _ADDRESS).scaled(TRAVERSAL)
    if "contains_cidr" in overload:
        cost += _ADDRESS.scaled(TRAVERSAL) + ONE
    if overload.endswith("_string"):
        cost += args[0].sized.scaled(TRAVERSAL)
    return Estimate(cost=cost)


def _validate(_target: Operand | None, args: Operands, _overload: str) -> Estimate | None:
    if not args:
        return None
    return Estimate(cost=args[0].sized.scaled(TRAVERSAL).scaled(_LONGEST_FORMAT_PATTERN * PATTERN))


def _equals(_target: Operand | None, args: Operands, _overload: str) -> Estimate | None:
    left, right = args
    if left.kind.name != right.kind.name or left.kind.kind not in {"opaque", "struct"}:
        return None
    match left.kind.name:
        case "net.IP" | "net.CIDR" | "kubernetes.Quantity" | "kubernetes.Semver":
            return Estimate(cost=ONE)
        case "kubernetes.NamedFormat":
            return Estimate(cost=Range(1, _LONGEST_FORMAT).scaled(TRAVERSAL))
        case "kubernetes.URL":
            return Estimate(cost=Range(1, right.size.high if right.size else 1).scaled(TRAVERSAL))
        case name if name.startswith("kubernetes.authorization."):
            return Estimate(cost=ONE)
    return None


_BY_OVERLOAD: dict[str, Estimator] = {
    "list_slice": _slice,
    "list_flatten": _flatten,
    "list_flatten_int": _flatten,
    "lists_range": _range,
    "list_reverse": _reverse,
    "list_distinct": _distinct,
    "sort": _sort,
    "sortByAssociatedKeys": _sort,
    "list_sets_contains_list": _sets,
    "list_sets_intersects_list": _sets,
    "list_sets_equivalent_list": _sets,
}
_BY_NAME: dict[str, Estimator] = {
    "check": _authorize,
    **dict.fromkeys(("fieldSelector", "labelSelector"), _requirements),
    **dict.fromkeys(
        [
            "serviceAccount",
            "path",
            "group",
            "resource",
            "subresource",
            "namespace",
            "name",
            "allowed",
            "reason",
            "error",
            "errored",
            *UNIT_CALLS,
        ],
        _nominal,
    ),
    **dict.fromkeys(LIST_CALLS, _over_list),
    "url": _parsed(keeps_size=True),
    **dict.fromkeys(["cidr", "isIP", "isCIDR", "quantity", "isQuantity", "semver", "isSemver"], _parsed()),
    **dict.fromkeys(["lowerAscii", "upperAscii", "substring", "trim"], _transformed),
    "replace": _replace,
    "split": _split,
    "join": _join,
    **dict.fromkeys(("find", "findAll"), _find),
    "ip": _ip,
    "ip.isCanonical": _parsed(2 * TRAVERSAL),
    **dict.fromkeys(("containsIP", "containsCIDR"), _contains),
    "validate": _validate,
    "_==_": _equals,
}

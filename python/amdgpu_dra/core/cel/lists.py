"""Functions of lists, maps and sets."""

from functools import cmp_to_key
from itertools import pairwise

from amdgpu_dra.core.cel.errors import CelRuntimeError
from amdgpu_dra.core.cel.operators import compare, plus
from amdgpu_dra.core.cel.overloads import Functions, Overload, overload
from amdgpu_dra.core.cel.values import Duration, Timestamp, Uint, Value, contains, equal, map_key

__all__ = ["FUNCTIONS", "INCLUDES", "map_insert"]

type Items = tuple[Value, ...]

_ORDERED = (bool, int, float, str, bytes, Duration, Timestamp)
_LONGEST_RANGE = 1_000_000
# The order in which Go tries the overloads of one name.
_KUBERNETES_ORDER = ("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes")
_SUMMABLE: dict[str, Value] = {"int": 0, "uint": Uint(0), "double": 0.0, "duration": Duration(0)}
_EXTENSION_ORDER = ("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes")
_TYPE_NAMES = {"duration": "google.protobuf.Duration", "timestamp": "google.protobuf.Timestamp"}


def _order(one: Value, two: Value) -> int:
    """Values of unlike types are neither more nor less, as Go's library takes an error for no order."""
    try:
        return compare(one, two)
    except CelRuntimeError:
        if isinstance(one, _ORDERED) and isinstance(two, _ORDERED):
            return 0
        raise


def _is_sorted(items: Items) -> Value:
    return all(_order(one, two) <= 0 for one, two in pairwise(items))


def _sum_from(zero: Value) -> object:
    def run(items: Items) -> Value:
        total = zero
        for item in items:
            total = plus(total, item)
        return total

    return run


def _extreme(name: str, sign: int) -> object:
    def run(items: Items) -> Value:
        if not items:
            raise CelRuntimeError(f"{name} called on empty list")
        best = items[0]
        for item in items[1:]:
            if _order(item, best) * sign > 0:
                best = item
        return best

    return run


def _same(one: Value, two: Value) -> bool:
    try:
        return equal(one, two)
    except CelRuntimeError:
        return False


def _index_of(items: Items, wanted: Value) -> Value:
    return next((place for place, item in enumerate(items) if _same(item, wanted)), -1)


def _last_index_of(items: Items, wanted: Value) -> Value:
    return next((place for place in range(len(items) - 1, -1, -1) if _same(items[place], wanted)), -1)


def _includes(target: Value, wanted: Value) -> Value:
    if isinstance(target, tuple):
        return any(_same(item, wanted) for item in target)
    return _same(target, wanted)


def _slice(items: Items, start: int, end: int) -> Value:
    if start < 0 or end < 0:
        raise CelRuntimeError(f"cannot slice({start}, {end}), negative indexes not supported")
    if start > end:
        raise CelRuntimeError(f"cannot slice({start}, {end}), start index must be less than or equal to end index")
    if len(items) < end:
        raise CelRuntimeError(f"cannot slice({start}, {end}), list is length {len(items)}")
    return items[start:end]


def _flatten(items: Items, depth: int = 1) -> Value:
    if depth < 0:
        raise CelRuntimeError("level must be non-negative")
    return tuple(_flat(items, depth))


def _flat(items: Items, depth: int) -> list[Value]:
    out: list[Value] = []
    for item in items:
        if isinstance(item, tuple) and depth > 0:
            out += _flat(item, depth - 1)
        else:
            out.append(item)
    return out


def _sort(items: Items) -> Value:
    return _sort_by_keys(items, items)


def _sort_by_keys(items: Items, keys: Items) -> Value:
    if len(keys) > 1 and any(type(key) is not type(keys[0]) for key in keys):
        raise CelRuntimeError("list elements must have the same type")
    key = cmp_to_key(compare)
    order = sorted(range(len(items)), key=lambda place: key(keys[place]))
    return tuple(items[place] for place in order)


def _range(count: int) -> Value:
    if count < 0:
        raise CelRuntimeError(f"lists.range: size must be non-negative, got {count}")
    if count > _LONGEST_RANGE:
        raise CelRuntimeError(f"lists.range: size {count} exceeds maximum allowed ({_LONGEST_RANGE})")
    return tuple(range(count))


def _distinct(items: Items) -> Value:
    out: list[Value] = []
    for item in items:
        if not any(_same(item, other) for other in out):
            out.append(item)
    return tuple(out)


def _sets_contains(items: Items, wanted: Items) -> Value:
    return all(contains(items, item) for item in wanted)


def _sets_equivalent(one: Items, two: Items) -> Value:
    return all(contains(one, item) for item in two) and all(contains(two, item) for item in one)


def _sets_intersects(one: Items, two: Items) -> Value:
    return any(contains(two, item) for item in one)


def map_insert(target: dict[Value, Value], key: Value, value: Value) -> Value:
    """The map with one more entry.

    Raises:
        CelRuntimeError: it has the key.
    """
    name = map_key(key)
    if name in target:
        raise CelRuntimeError(f"insert failed: key {key} already exists")
    return {**target, name: value}


def _map_merge(target: dict[Value, Value], more: dict[Value, Value]) -> Value:
    for name in more:
        if name in target:
            raise CelRuntimeError(f"insert failed: key {name} already exists")
    return {**target, **more}


def _each(
    pattern: str, signature: str, run: object, names: tuple[str, ...] = _KUBERNETES_ORDER
) -> tuple[Overload, ...]:
    return tuple(
        overload(pattern.replace("T", name), signature.replace("T", name), run)  # type: ignore[arg-type] # a function of the list
        for name in names
    )


def _named(pattern: str, signature: str, run: object) -> tuple[Overload, ...]:
    """The overloads that Go names by the types' full names."""
    return tuple(
        overload(pattern.replace("U", _TYPE_NAMES.get(name, name)), signature.replace("U", name), run)  # type: ignore[arg-type] # a function of the list
        for name in _EXTENSION_ORDER
    )


FUNCTIONS: Functions = {
    "isSorted": _each("list_T_is_sorted_bool", "list(T).() bool", _is_sorted),
    "sum": tuple(
        overload(f"list_{name}_sum_{name}", f"list({name}).() {name}", _sum_from(zero))  # type: ignore[arg-type] # a function of the list
        for name, zero in _SUMMABLE.items()
    ),
    "max": _each("list_T_max_T", "list(T).() T", _extreme("max", 1)),
    "min": _each("list_T_min_T", "list(T).() T", _extreme("min", -1)),
    "indexOf": (overload("list_a_index_of_int", "list(A).(A) int", _index_of),),
    "lastIndexOf": (overload("list_a_last_index_of_int", "list(A).(A) int", _last_index_of),),
    "slice": (overload("list_slice", "list(T).(int, int) list(T)", _slice),),
    "flatten": (
        overload("list_flatten", "list(list(T)).() list(T)", _flatten),
        overload("list_flatten_int", "list(dyn).(int) list(dyn)", _flatten),
    ),
    "sort": _named("list_U_sort", "list(U).() list(U)", _sort),
    "@sortByAssociatedKeys": _named("list_U_sortByAssociatedKeys", "list(A).(list(U)) list(A)", _sort_by_keys),
    "lists.range": (overload("lists_range", "(int) list(int)", _range),),
    "reverse": (overload("list_reverse", "list(T).() list(T)", lambda items: items[::-1]),),
    "distinct": (overload("list_distinct", "list(T).() list(T)", _distinct),),
    "sets.contains": (overload("list_sets_contains_list", "(list(T), list(T)) bool", _sets_contains),),
    "sets.equivalent": (overload("list_sets_equivalent_list", "(list(T), list(T)) bool", _sets_equivalent),),
    "sets.intersects": (overload("list_sets_intersects_list", "(list(T), list(T)) bool", _sets_intersects),),
    "cel.@mapInsert": (
        overload("@mapInsert_map_key_value", "(map(K, V), K, V) map(K, V)", map_insert),
        overload("@mapInsert_map_map", "(map(K, V), map(K, V)) map(K, V)", _map_merge),
    ),
}
INCLUDES: Functions = {"includes": (overload("list_includes_dyn_dyn", "dyn.(dyn) bool", _includes),)}

"""Optional values."""

from amdgpu_dra.core.cel.errors import CelRuntimeError, no_such_overload
from amdgpu_dra.core.cel.overloads import Functions, overload
from amdgpu_dra.core.cel.values import NONE, Duration, Optional, Timestamp, Value

__all__ = ["FUNCTIONS"]

_FIRST_MOMENT = -62135596800 * 10**9


def _is_zero(value: Value) -> bool:
    if value is None:
        return True
    if isinstance(value, (bool, int, float, str, bytes, tuple, dict)):
        return not value
    if isinstance(value, Duration):
        return value.nanos == 0
    if isinstance(value, Timestamp):
        return value.nanos == _FIRST_MOMENT
    return isinstance(value, Optional) and (not value.present or _is_zero(value.value))


def _of_non_zero(value: Value) -> Value:
    return NONE if _is_zero(value) else Optional(value)


def _value(value: Optional) -> Value:
    if not value.present:
        raise CelRuntimeError("optional.none() dereference")
    return value.value


def _unwrap(values: tuple[Value, ...]) -> Value:
    out = []
    for value in values:
        if not isinstance(value, Optional):
            raise CelRuntimeError(f"value {value} is not optional")
        if value.present:
            out.append(value.value)
    return tuple(out)


def _planned(*_args: Value) -> Value:
    """Written out by the planner, which knows what need not be computed."""
    raise no_such_overload()


FUNCTIONS: Functions = {
    "optional.of": (overload("optional_of", "(V) optional(V)", Optional),),
    "optional.ofNonZeroValue": (overload("optional_ofNonZeroValue", "(V) optional(V)", _of_non_zero),),
    "optional.none": (overload("optional_none", "() optional(V)", lambda: NONE),),
    "value": (overload("optional_value", "optional(V).() V", _value),),
    "hasValue": (overload("optional_hasValue", "optional(V).() bool", lambda value: value.present),),
    "or": (overload("optional_or_optional", "optional(V).(optional(V)) optional(V)", _planned),),
    "orValue": (overload("optional_orValue_value", "optional(V).(V) V", _planned),),
    "_?._": (overload("select_optional_field", "(dyn, string) optional(V)", _planned),),
    "_[?_]": (
        overload("list_optindex_optional_int", "(list(V), int) optional(V)", _planned),
        overload("optional_list_optindex_optional_int", "(optional(list(V)), int) optional(V)", _planned),
        overload("map_optindex_optional_value", "(map(K, V), K) optional(V)", _planned),
        overload("optional_map_optindex_optional_value", "(optional(map(K, V)), K) optional(V)", _planned),
    ),
    "_[_]": (
        overload("index_list", "(list(A), int) A", _planned),
        overload("index_map", "(map(A, B), A) B", _planned),
        overload("optional_list_index_int", "(optional(list(V)), int) optional(V)", _planned),
        overload("optional_map_index_value", "(optional(map(K, V)), K) optional(V)", _planned),
    ),
    "first": (overload("list_first", "list(V).() optional(V)", lambda items: Optional(items[0]) if items else NONE),),
    "last": (overload("list_last", "list(V).() optional(V)", lambda items: Optional(items[-1]) if items else NONE),),
    "optional.unwrap": (overload("optional_unwrap", "(list(optional(V))) list(V)", _unwrap),),
    "unwrapOpt": (overload("optional_unwrapOpt", "list(optional(V)).() list(V)", _unwrap),),
    "_?_:_": (overload("conditional", "(bool, A, A) A", _planned),),
    "_&&_": (overload("logical_and", "(bool, bool) bool", _planned),),
    "_||_": (overload("logical_or", "(bool, bool) bool", _planned),),
    "@not_strictly_false": (overload("not_strictly_false", "(bool) bool", _planned),),
    "_==_": (overload("equals", "(A, A) bool", _planned),),
    "_!=_": (overload("not_equals", "(A, A) bool", _planned),),
    "@in": (
        overload("in_list", "(A, list(A)) bool", _planned),
        overload("in_map", "(A, map(A, B)) bool", _planned),
    ),
}

"""Arithmetic and comparison."""

import math
from collections.abc import Callable

from amdgpu_dra.core.cel.errors import CelRuntimeError, no_such_overload
from amdgpu_dra.core.cel.overloads import Functions, Overload, overload
from amdgpu_dra.core.cel.values import MAX_INT, MAX_UINT, MIN_INT, Duration, Timestamp, Uint, Value

__all__ = ["FUNCTIONS", "compare", "moment", "plus", "span"]

_FIRST_MOMENT, _LAST_MOMENT = -62135596800 * 10**9, 253402300799 * 10**9 + 999_999_999
_NUMBERS = frozenset({int, Uint, float})


def whole(value: int) -> int:
    """An int, or the error of one that does not fit."""
    if MIN_INT <= value <= MAX_INT:
        return value
    raise CelRuntimeError("integer overflow")


def unsigned(value: int) -> Uint:
    """A uint, or the error of one that does not fit."""
    if 0 <= value <= MAX_UINT:
        return Uint(value)
    raise CelRuntimeError("unsigned integer overflow")


def span(nanos: int) -> Duration:
    """A duration, or the error of one that does not fit."""
    if MIN_INT <= nanos <= MAX_INT:
        return Duration(nanos)
    raise CelRuntimeError("duration overflow")


def moment(nanos: int, offset: int = 0) -> Timestamp:
    """A timestamp, or the error of one outside of the years 1 to 9999."""
    if _FIRST_MOMENT <= nanos <= _LAST_MOMENT:
        return Timestamp(nanos, offset)
    raise CelRuntimeError("timestamp overflow")


def plus(left: Value, right: Value) -> Value:
    """`left + right`."""
    kind = type(left)
    if kind is type(right):
        if isinstance(left, (str, bytes, tuple, float)):
            return left + right  # type: ignore[operator] # both are of one type
        if kind is int:
            return whole(left + right)  # type: ignore[operator] # both are int
        if kind is Uint:
            return unsigned(left + right)  # type: ignore[operator] # both are Uint
        if isinstance(left, Duration) and isinstance(right, Duration):
            return span(left.nanos + right.nanos)
    if isinstance(left, Timestamp) and isinstance(right, Duration):
        return moment(left.nanos + right.nanos, left.offset)
    if isinstance(left, Duration) and isinstance(right, Timestamp):
        return moment(left.nanos + right.nanos, right.offset)
    raise no_such_overload("_+_")


def _minus(left: Value, right: Value) -> Value:
    kind = type(left)
    if isinstance(left, Timestamp) and isinstance(right, (Timestamp, Duration)):
        nanos = left.nanos - right.nanos
        return span(nanos) if isinstance(right, Timestamp) else moment(nanos, left.offset)
    if isinstance(left, Duration) and isinstance(right, Duration):
        return span(left.nanos - right.nanos)
    if kind is type(right) and isinstance(left, (int, float)) and isinstance(right, (int, float)) and kind is not bool:
        if isinstance(left, float):
            return left - right
        return unsigned(int(left) - int(right)) if kind is Uint else whole(int(left) - int(right))
    raise no_such_overload("_-_")


def _numeric(name: str, floats: Callable[[float, float], float], wholes: Callable[[int, int], int]) -> object:
    """An operator of two numbers of one type."""

    def run(left: Value, right: Value) -> Value:
        kind = type(left)
        if kind is not type(right):
            raise no_such_overload(name)
        if isinstance(left, float) and isinstance(right, float):
            return floats(left, right)
        if isinstance(left, int) and isinstance(right, int) and kind is not bool:
            value = wholes(int(left), int(right))
            return unsigned(value) if kind is Uint else whole(value)
        raise no_such_overload(name)

    return run


def _divide_floats(left: float, right: float) -> float:
    if right == 0:
        if left == 0 or math.isnan(left):
            return math.nan
        return math.inf * math.copysign(1, left) * math.copysign(1, right)
    return left / right


def _divide(left: int, right: int) -> int:
    if right == 0:
        raise CelRuntimeError("division by zero")
    value = abs(left) // abs(right)
    return value if (left < 0) == (right < 0) else -value


def _modulo(left: int, right: int) -> int:
    if right == 0:
        raise CelRuntimeError("modulus by zero")
    if left == MIN_INT and right == -1:
        raise CelRuntimeError("integer overflow")
    value = abs(left) % abs(right)
    return -value if left < 0 else value


def _no_floats(_left: float, _right: float) -> float:
    raise no_such_overload("_%_")


def _multiply_floats(left: float, right: float) -> float:
    return left * right


def _negate(value: Value) -> Value:
    if isinstance(value, float):
        return -value
    if type(value) is int:
        return whole(-value)
    raise no_such_overload("-_")


def _not(value: Value) -> Value:
    if value is True:
        return False
    if value is False:
        return True
    raise no_such_overload("!_")


def compare(left: Value, right: Value) -> int:
    """-1, 0 or 1 by which is greater; numbers of different types compare by value.

    Raises:
        CelRuntimeError: the types have no order, or not one with each other; or NaN.
    """
    kind = type(left)
    if kind is type(right) and kind in _ORDERED:
        if left != left or right != right:  # noqa: PLR0124 (NaN)
            raise CelRuntimeError("NaN values cannot be ordered")
        return int(left > right) - int(left < right)  # type: ignore[operator] # one ordered type
    if isinstance(left, (Duration, Timestamp)) and type(right) is kind:
        return _compare_numbers(left.nanos, right.nanos)  # type: ignore[attr-defined] # of the same type
    if kind in _NUMBERS and type(right) in _NUMBERS:
        return _compare_numbers(left, right)  # type: ignore[arg-type] # both are numbers
    raise no_such_overload()


def _compare_numbers(left: int | float, right: int | float) -> int:  # noqa: PYI041 (mypy takes a float for no int)
    if float in {type(left), type(right)}:
        left, right = float(left), float(right)
        if math.isnan(left) or math.isnan(right):
            raise CelRuntimeError("NaN values cannot be ordered")
    return (left > right) - (left < right)


_ORDERED = frozenset({bool, int, Uint, float, str, bytes})


def _less(left: Value, right: Value) -> Value:
    return compare(left, right) < 0


def _less_equals(left: Value, right: Value) -> Value:
    return compare(left, right) <= 0


def _greater(left: Value, right: Value) -> Value:
    return compare(left, right) > 0


def _greater_equals(left: Value, right: Value) -> Value:
    return compare(left, right) >= 0


_PAIRS = (
    ("bool", "bool"),
    ("int64", "int"),
    ("int64_double", "int, double"),
    ("int64_uint64", "int, uint"),
    ("uint64", "uint"),
    ("uint64_double", "uint, double"),
    ("uint64_int64", "uint, int"),
    ("double", "double"),
    ("double_int64", "double, int"),
    ("double_uint64", "double, uint"),
    ("string", "string"),
    ("bytes", "bytes"),
    ("timestamp", "timestamp"),
    ("duration", "duration"),
)


def _comparisons(name: str, run: Callable[[Value, Value], Value]) -> tuple[Overload, ...]:
    return tuple(
        overload(f"{name}_{suffix}", f"({types if ',' in types else f'{types}, {types}'}) bool", run)
        for suffix, types in _PAIRS
    )


def _arithmetic(name: str, types: tuple[str, ...], run: Callable[[Value, Value], Value]) -> tuple[Overload, ...]:
    suffix = {"int": "int64", "uint": "uint64"}
    return tuple(overload(f"{name}_{suffix.get(kind, kind)}", f"({kind}, {kind}) {kind}", run) for kind in types)


FUNCTIONS: Functions = {
    "!_": (overload("logical_not", "(bool) bool", _not),),
    "_+_": (
        *_arithmetic("add", ("bytes", "double"), plus),
        overload("add_duration_duration", "(duration, duration) duration", plus),
        overload("add_duration_timestamp", "(duration, timestamp) timestamp", plus),
        overload("add_timestamp_duration", "(timestamp, duration) timestamp", plus),
        *_arithmetic("add", ("int",), plus),
        overload("add_list", "(list(A), list(A)) list(A)", plus),
        *_arithmetic("add", ("string", "uint"), plus),
    ),
    "_/_": _arithmetic("divide", ("double", "int", "uint"), _numeric("_/_", _divide_floats, _divide)),  # type: ignore[arg-type] # two numbers to one
    "_%_": _arithmetic("modulo", ("int", "uint"), _numeric("_%_", _no_floats, _modulo)),  # type: ignore[arg-type] # two numbers to one
    "_*_": _arithmetic(
        "multiply",
        ("double", "int", "uint"),
        _numeric("_*_", _multiply_floats, lambda left, right: left * right),  # type: ignore[arg-type] # two numbers to one
    ),
    "-_": (
        overload("negate_double", "(double) double", _negate),
        overload("negate_int64", "(int) int", _negate),
    ),
    "_-_": (
        *_arithmetic("subtract", ("double",), _minus),
        overload("subtract_duration_duration", "(duration, duration) duration", _minus),
        *_arithmetic("subtract", ("int",), _minus),
        overload("subtract_timestamp_duration", "(timestamp, duration) timestamp", _minus),
        overload("subtract_timestamp_timestamp", "(timestamp, timestamp) duration", _minus),
        *_arithmetic("subtract", ("uint",), _minus),
    ),
    "_<_": _comparisons("less", _less),
    "_<=_": _comparisons("less_equals", _less_equals),
    "_>_": _comparisons("greater", _greater),
    "_>=_": _comparisons("greater_equals", _greater_equals),
}

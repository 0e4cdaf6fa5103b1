"""Conversions between types, and `size`, `type`, `dyn`."""

import math
import re

from amdgpu_dra.core.cel.clock import duration_text, read_duration, read_timestamp, timestamp_text
from amdgpu_dra.core.cel.errors import CelRuntimeError
from amdgpu_dra.core.cel.operators import moment, unsigned, whole
from amdgpu_dra.core.cel.overloads import Functions, overload
from amdgpu_dra.core.cel.values import (
    MAX_INT,
    MAX_UINT,
    MIN_INT,
    Duration,
    Timestamp,
    TypeValue,
    Uint,
    Value,
    type_name,
)

__all__ = ["FUNCTIONS", "float_text", "to_string"]

_WHOLE = re.compile(r"[+-]?[0-9]+")
_UNSIGNED = re.compile(r"[0-9]+")
_FLOAT = re.compile(r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf|infinity|nan)", re.IGNORECASE)
_BOOLS = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}
_TWO_TO_64 = 2.0**64
_SMALLEST_PLAIN, _LARGEST_PLAIN = -4, 6


def _fail(value: Value, target: str) -> CelRuntimeError:
    return CelRuntimeError(f"type conversion error from '{type_name(value)}' to '{target}'")


def _same(value: Value) -> Value:
    return value


def _string_to_int(value: str) -> Value:
    if _WHOLE.fullmatch(value) and MIN_INT <= int(value) <= MAX_INT:
        return int(value)
    raise _fail(value, "int")


def _string_to_uint(value: str) -> Value:
    if _UNSIGNED.fullmatch(value) and int(value) <= MAX_UINT:
        return Uint(value)
    raise _fail(value, "uint")


def _string_to_double(value: str) -> Value:
    if _FLOAT.fullmatch(value):
        number = float(value)
        if not math.isinf(number) or "inf" in value.lower():
            return number
    raise _fail(value, "double")


def _string_to_bool(value: str) -> Value:
    if value in _BOOLS:
        return _BOOLS[value]
    raise _fail(value, "bool")


def _double_to_int(value: float) -> Value:
    if not math.isfinite(value) or not MIN_INT < value < MAX_INT:
        raise CelRuntimeError("integer overflow")
    return int(value)


def _double_to_uint(value: float) -> Value:
    if not math.isfinite(value) or not 0 <= value < _TWO_TO_64:
        raise CelRuntimeError("unsigned integer overflow")
    return Uint(value)


def _bytes_to_string(value: bytes) -> Value:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise CelRuntimeError("invalid UTF-8 in bytes, cannot convert to string") from None


def float_text(value: float) -> str:
    """A number as Go's `%g` writes it: the fewest digits that give it back, an exponent from 1e+06 and below 1e-04."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    shortest = repr(value)
    digits = re.sub(r"[-.]|e.*", "", shortest).lstrip("0").rstrip("0")
    power = _power(shortest)
    sign = "-" if value < 0 else ""
    if power < _SMALLEST_PLAIN or power >= _LARGEST_PLAIN:
        body = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
        return f"{sign}{body}e{'+' if power >= 0 else '-'}{abs(power):02}"
    if power < 0:
        return f"{sign}0.{'0' * (-power - 1)}{digits}"
    padded = digits.ljust(power + 1, "0")
    return sign + padded[: power + 1] + ("." + padded[power + 1 :] if len(padded) > power + 1 else "")


def _power(shortest: str) -> int:
    """The decimal exponent of a number's first digit."""
    body, _, exponent = shortest.lstrip("-").partition("e")
    before, _, after = body.partition(".")
    if before.strip("0"):
        return len(before.lstrip("0")) - 1 + int(exponent or 0)
    return -(len(after) - len(after.lstrip("0")) + 1) + int(exponent or 0)


def to_string(value: Value) -> str:  # noqa: PLR0911 (one for each type)
    """`string(value)` of the types that have one."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return float_text(value)
    if isinstance(value, bytes):
        return str(_bytes_to_string(value))
    if isinstance(value, Duration):
        return duration_text(value)
    if isinstance(value, Timestamp):
        return timestamp_text(value)
    raise _fail(value, "string")


def _type(value: Value) -> Value:
    return TypeValue(type_name(value))


FUNCTIONS: Functions = {
    "size": (
        overload("size_bytes", "(bytes) int", len),
        overload("bytes_size", "bytes.() int", len),
        overload("size_list", "(list(A)) int", len),
        overload("list_size", "list(A).() int", len),
        overload("size_map", "(map(A, B)) int", len),
        overload("map_size", "map(A, B).() int", len),
        overload("size_string", "(string) int", len),
        overload("string_size", "string.() int", len),
    ),
    "type": (overload("type", "(A) type(A)", _type),),
    "dyn": (overload("to_dyn", "(A) dyn", _same),),
    "bool": (
        overload("bool_to_bool", "(bool) bool", _same),
        overload("string_to_bool", "(string) bool", _string_to_bool),
    ),
    "bytes": (
        overload("bytes_to_bytes", "(bytes) bytes", _same),
        overload("string_to_bytes", "(string) bytes", str.encode),
    ),
    "double": (
        overload("double_to_double", "(double) double", _same),
        overload("int64_to_double", "(int) double", float),
        overload("string_to_double", "(string) double", _string_to_double),
        overload("uint64_to_double", "(uint) double", float),
    ),
    "duration": (
        overload("duration_to_duration", "(duration) duration", _same),
        overload("string_to_duration", "(string) duration", read_duration),
    ),
    "int": (
        overload("int64_to_int64", "(int) int", _same),
        overload("double_to_int64", "(double) int", _double_to_int),
        overload("duration_to_int64", "(duration) int", lambda value: value.nanos),
        overload("string_to_int64", "(string) int", _string_to_int),
        overload("timestamp_to_int64", "(timestamp) int", lambda value: value.nanos // 10**9),
        overload("uint64_to_int64", "(uint) int", lambda value: whole(int(value))),
    ),
    "string": (
        overload("string_to_string", "(string) string", to_string),
        overload("bool_to_string", "(bool) string", to_string),
        overload("bytes_to_string", "(bytes) string", to_string),
        overload("double_to_string", "(double) string", to_string),
        overload("duration_to_string", "(duration) string", to_string),
        overload("int64_to_string", "(int) string", to_string),
        overload("timestamp_to_string", "(timestamp) string", to_string),
        overload("uint64_to_string", "(uint) string", to_string),
    ),
    "timestamp": (
        overload("timestamp_to_timestamp", "(timestamp) timestamp", _same),
        overload("int64_to_timestamp", "(int) timestamp", lambda value: moment(value * 10**9)),
        overload("string_to_timestamp", "(string) timestamp", read_timestamp),
    ),
    "uint": (
        overload("uint64_to_uint64", "(uint) uint", _same),
        overload("double_to_uint64", "(double) uint", _double_to_uint),
        overload("int64_to_uint64", "(int) uint", unsigned),
        overload("string_to_uint64", "(string) uint", _string_to_uint),
    ),
}

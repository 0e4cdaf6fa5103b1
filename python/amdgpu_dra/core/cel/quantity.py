"""Kubernetes quantities as values: exact, with the quirks of Go's two ways to hold one.

A short quantity is held as a whole number times a power of ten, a long one or a fraction of a binary unit as a decimal;
`isInteger` and `asInteger` know only the first, and only with a power of at least zero.
"""

import re
from dataclasses import dataclass

from amdgpu_dra.core.cel.errors import CelRuntimeError
from amdgpu_dra.core.cel.overloads import Functions, overload
from amdgpu_dra.core.cel.values import MAX_INT, MIN_INT, Opaque, Value

__all__ = ["FUNCTIONS", "Quantity", "read_quantity"]

_NANO = -9
_LONGEST = 18
_BINARY_DIGITS = 15
_LARGEST_EXPONENT = 10_000
_FORM = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*(?:(?<=[eE])[+-]?[0-9]+)?)")
_SUFFIXES = {
    suffix: power
    for power, suffix in zip(range(-9, 19, 3), ("n", "u", "m", "", "k", "M", "G", "T", "P", "E"), strict=True)
}
_BINARY = {suffix: 10 * power for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)}
_EXPONENT = re.compile(r"[eE]([+-]?[0-9]+)")
_BAD = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


@dataclass(frozen=True, slots=True, eq=False)
class Quantity(Opaque):
    """`nanos` is its exact value; `number` and `scale` are Go's short form, absent for a decimal.

    `computed` marks a result of `add` or `sub`, which Go's equality takes on its left side only.
    """

    nanos: int
    number: int | None
    scale: int = 0
    capped: bool = False
    computed: bool = False
    type_name = "kubernetes.Quantity"

    def same(self, other: Opaque) -> bool:
        """Whether both are one amount."""
        if not isinstance(other, Quantity) or other.computed:
            raise CelRuntimeError("no such overload")
        return self.nanos == other.nanos


def read_quantity(text: str) -> Quantity:
    """A quantity from its text.

    Raises:
        CelRuntimeError: not a quantity.
    """
    match = _FORM.fullmatch(text)
    if match is None or not text:
        raise CelRuntimeError(_BAD)
    sign, whole, fraction, suffix = match[1], match[2].lstrip("0") or "0", match[3] or "", match[4]
    binary = suffix in _BINARY
    exponent = _BINARY[suffix] if binary else _power(suffix)
    digits = whole + fraction
    sign_factor = -1 if sign == "-" else 1
    if binary:
        short = not fraction and _BINARY_DIGITS - len(whole) - exponent * 3 // 10 - 1 >= 0
        scale, number = 0, int(digits) << exponent
    else:
        scale, number = exponent - len(fraction), int(digits)
        short = len(digits) <= _LONGEST and scale >= _NANO
    if short and number <= MAX_INT:
        return Quantity(_nanos(sign_factor * number, scale), sign_factor * number, scale)
    if not (match[2] or fraction):
        raise CelRuntimeError("unable to parse numeric part of quantity")
    return _decimal(sign_factor, number, -len(fraction) if binary else scale, binary=binary)


def _power(suffix: str) -> int:
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    match = _EXPONENT.fullmatch(suffix)
    if match is None:
        raise CelRuntimeError("unable to parse quantity's suffix")
    power = int(match[1])
    if abs(power) > _LARGEST_EXPONENT:
        raise CelRuntimeError(f"quantities with an exponent beyond {_LARGEST_EXPONENT} are not supported")
    return power


def _decimal(sign: int, number: int, scale: int, *, binary: bool) -> Quantity:
    """The long form: rounded away from zero to nano; a binary one is at most the largest int."""
    nanos = _nanos(number, scale)
    capped = binary and nanos > MAX_INT * 10**-_NANO
    return Quantity(sign * (MAX_INT * 10**-_NANO if capped else nanos), None, capped=capped)


def _nanos(number: int, scale: int) -> int:
    shift = scale - _NANO
    unit: int = 10 ** abs(shift)
    return number * unit if shift >= 0 else -(-number // unit)


def _is_quantity(text: str) -> Value:
    try:
        read_quantity(text)
    except CelRuntimeError:
        return False
    return True


def _as_whole(value: Quantity) -> int | None:
    if value.number is None or value.scale < 0:
        return None
    number = value.nanos // 10**9
    return number if MIN_INT <= number <= MAX_INT else None


def _as_integer(value: Quantity) -> Value:
    number = _as_whole(value)
    if number is None:
        raise CelRuntimeError("cannot convert value to integer")
    return number


def _as_float(value: Quantity) -> Value:
    try:
        if value.number is not None:
            return float(value.number) * 10.0**value.scale
        if value.capped:
            return float(value.nanos // 10**-_NANO)
        return float(value.nanos) * 1e-9
    except OverflowError:
        return float("inf") if value.nanos > 0 else float("-inf")


def _compare(one: Quantity, two: Quantity) -> int:
    return (one.nanos > two.nanos) - (one.nanos < two.nanos)


def _add(one: Quantity, two: Quantity) -> Value:
    return _sum(one, two.nanos, two.number, two.scale)


def _sub(one: Quantity, two: Quantity) -> Value:
    return _difference(one, two.nanos, two.number, two.scale)


def _add_int(one: Quantity, two: int) -> Value:
    return _sum(one, two * 10**-_NANO, two, 0)


def _sub_int(one: Quantity, two: int) -> Value:
    return _difference(one, two * 10**-_NANO, two, 0)


def _difference(one: Quantity, nanos: int, number: int | None, scale: int) -> Quantity:
    if number == MIN_INT and (found := _sum(one, nanos, number, scale)).number is not None:
        return found  # Go negates the smallest int to itself
    return _sum(one, -nanos, None if number is None else -number, scale)


def _sum(one: Quantity, nanos: int, number: int | None, scale: int) -> Quantity:
    total = one.nanos + nanos
    if one.number is None or number is None:
        return Quantity(total, None, computed=True)
    if number == 0:
        return Quantity(total, one.number, one.scale, computed=True)
    if one.number == 0:
        return Quantity(total, number, scale, computed=True)
    common = min(one.scale, scale)
    parts = (one.number * 10 ** (one.scale - common), number * 10 ** (scale - common))
    short = all(MIN_INT <= part <= MAX_INT for part in (*parts, sum(parts)))
    return Quantity(total, sum(parts) if short else None, common if short else 0, computed=True)


FUNCTIONS: Functions = {
    "quantity": (overload("string_to_quantity", "(string) Quantity", read_quantity),),
    "isQuantity": (overload("is_quantity_string", "(string) bool", _is_quantity),),
    "sign": (overload("quantity_sign", "(Quantity) int", lambda value: (value.nanos > 0) - (value.nanos < 0)),),
    "isGreaterThan": (
        overload("quantity_is_greater_than", "Quantity.(Quantity) bool", lambda one, two: one.nanos > two.nanos),
    ),
    "isLessThan": (
        overload("quantity_is_less_than", "Quantity.(Quantity) bool", lambda one, two: one.nanos < two.nanos),
    ),
    "compareTo": (overload("quantity_compare_to", "Quantity.(Quantity) int", _compare),),
    "asApproximateFloat": (overload("quantity_get_float", "Quantity.() double", _as_float),),
    "asInteger": (overload("quantity_get_int", "Quantity.() int", _as_integer),),
    "isInteger": (overload("quantity_is_integer", "Quantity.() bool", lambda value: _as_whole(value) is not None),),
    "add": (
        overload("quantity_add", "Quantity.(Quantity) Quantity", _add),
        overload("quantity_add_int", "Quantity.(int) Quantity", _add_int),
    ),
    "sub": (
        overload("quantity_sub", "Quantity.(Quantity) Quantity", _sub),
        overload("quantity_sub_int", "Quantity.(int) Quantity", _sub_int),
    ),
}

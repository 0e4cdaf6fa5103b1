"""Quantities as the allocator computes with them: exact, in nano units, with the form that upstream would print.

`api/quantity` gives the number alone. Consumed capacity is part of a result and a policy's default is compared form and
all, so the form matters here (apimachinery resource.Quantity).
"""

import re
from dataclasses import dataclass

NANO = 10**9
MILLI = 10**6
MAX_INT64 = 2**63 - 1

DECIMAL_SI = "DecimalSI"
DECIMAL_EXPONENT = "DecimalExponent"
BINARY_SI = "BinarySI"

_FORM = re.compile(r"([+-]?)0*(\d*)(?:\.(\d*))?(?:([KMGTPE]i)|([numkMGTPE]?)|[eE]([+-]?\d{1,9}))")
_BINARY = {suffix: 10 * (power + 1) for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"))}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_SUFFIX = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY_SUFFIX = {0: "", **{shift: suffix for suffix, shift in _BINARY.items()}}
_MOST_DIGITS = 18
_LARGEST_EXPONENT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """An exact quantity.

    Two are equal when number, format and form are: `1Gi` and `1024Mi` are not. Compare `nano` to compare the numbers.

    Attributes:
        nano: the number in units of 1e-9.
        format: BinarySI, DecimalSI or DecimalExponent.
        text: what was parsed, where upstream keeps it for printing; else empty.
        exact: False where upstream holds it in a form that equals no other, not even its own copy.
    """

    nano: int
    format: str = DECIMAL_SI
    text: str = ""
    scale: int = 0
    exact: bool = True

    def __str__(self) -> str:
        return self.text or _canonical(self.nano, self.format)


ZERO = Quantity(nano=0)


def parse_quantity(text: str) -> Quantity:
    """The quantity of `192Gi`, `1500m`, `1e3`; what is finer than nano is rounded away from zero.

    Raises:
        ValueError: not a quantity.
    """
    match = _FORM.fullmatch(text)
    if match is None or not text.strip("+-"):
        raise ValueError(f"expected a quantity such as 192Gi or 500m, found {text!r}")
    sign, whole, fraction, binary, decimal, exponent = match.groups()
    whole, fraction = whole or "0", fraction or ""
    negative = sign == "-"
    if binary:
        return _parse_binary(text, negative, whole, fraction, _BINARY[binary])
    if exponent is not None:
        return _parse_decimal(text, negative, (whole, fraction), int(exponent), DECIMAL_EXPONENT)
    return _parse_decimal(text, negative, (whole, fraction), _DECIMAL[decimal], DECIMAL_SI)


def from_int(value: int, unit: int, form: str) -> Quantity:
    """A computed quantity: `value` times `unit` nano units."""
    return Quantity(nano=value * unit, format=form, scale=0 if unit == NANO else -3)


def _parse_binary(text: str, negative: bool, whole: str, fraction: str, shift: int) -> Quantity:  # noqa: FBT001
    digits = int(whole + fraction)
    nano = -(-(digits * NANO << shift) // 10 ** len(fraction))
    precision = 15 - len(whole) - shift * 3 // 10 - 1
    short = not fraction and precision >= 0
    form = BINARY_SI
    if not short:
        nano = min(nano, MAX_INT64 * NANO)
        form = DECIMAL_SI if 0 < nano < NANO else BINARY_SI
    kept = text if short and digits & 7 else ""
    return Quantity(nano=-nano if negative else nano, format=form, text=kept, exact=short)


def _parse_decimal(
    text: str,
    negative: bool,  # noqa: FBT001
    digits: tuple[str, str],
    exponent: int,
    form: str,
) -> Quantity:
    whole, fraction = digits
    if abs(exponent) > _LARGEST_EXPONENT:
        raise ValueError(f"expected an exponent of at most {_LARGEST_EXPONENT}, found {text!r}")
    shifted, scale = whole + fraction, exponent - len(fraction)
    power = scale + 9
    nano = int(shifted) * 10**power if power >= 0 else -(-int(shifted) // 10**-power)
    short = len(shifted) <= _MOST_DIGITS and power >= 0
    kept = short and scale % 3 == 0 and not shifted.endswith("000") and not shifted.startswith("0")
    text = text if kept or text == "0" else ""
    return Quantity(nano=-nano if negative else nano, format=form, text=text, scale=scale if short else 0, exact=short)


def _canonical(nano: int, form: str) -> str:
    if nano == 0:
        return "0"
    if form == BINARY_SI and (abs(nano) < 1024 * NANO or nano % NANO):
        form = DECIMAL_SI
    if form == BINARY_SI:
        return _canonical_binary(nano // NANO)
    number, exponent = abs(nano), -9
    while number % 1000 == 0:
        number, exponent = number // 1000, exponent + 3
    sign = "-" if nano < 0 else ""
    if form == DECIMAL_EXPONENT or exponent not in _DECIMAL_SUFFIX:
        return f"{sign}{number}e{exponent}" if exponent else f"{sign}{number}"
    return f"{sign}{number}{_DECIMAL_SUFFIX[exponent]}"


def _canonical_binary(number: int) -> str:
    shift = 0
    while number % 1024 == 0 and shift + 10 in _BINARY_SUFFIX:
        number, shift = number // 1024, shift + 10
    return f"{number}{_BINARY_SUFFIX[shift]}"

"""Exact Kubernetes quantities (apimachinery resource.Quantity): read, and written in canonical binary form."""

import re
from fractions import Fraction

__all__ = ["format_binary", "parse_quantity"]

_FORM = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([KMGTPE]i)|([numkMGTPE])|[eE]([+-]?\d{1,3}))?")
_BINARY: dict[str, int] = {suffix + "i": 1024**power for power, suffix in enumerate("KMGTPE", start=1)}
_DECIMAL = {"n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000), "k": Fraction(1000)} | {
    suffix: Fraction(1000**power) for power, suffix in enumerate("MGTPE", start=2)
}


def parse_quantity(text: str) -> Fraction:
    """The exact number of `192Gi`, `1500m`, `1e3`.

    Raises:
        ValueError: not a quantity.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"expected a quantity such as 192Gi or 500m, found {text!r}")
    number, binary, decimal, exponent = match.groups()
    if binary:
        return Fraction(number) * _BINARY[binary]
    if decimal:
        return Fraction(number) * _DECIMAL[decimal]
    return Fraction(f"{number}e{exponent or 0}")


def format_binary(value: int) -> str:
    """The canonical form of a whole BinarySI quantity: the largest suffix that leaves a whole number."""
    for suffix, unit in reversed(_BINARY.items()):
        if value and value % unit == 0:
            return f"{value // unit}{suffix}"
    return str(value)

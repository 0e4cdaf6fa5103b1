"""Sizes and costs as ranges of unsigned 64-bit numbers that stop at the largest."""

import math
from dataclasses import dataclass

from amdgpu_dra.core.cel.values import MAX_UINT

__all__ = ["ONE", "UNKNOWN", "Range", "fixed"]

_TWO_TO_64 = 2.0**64


@dataclass(frozen=True, slots=True)
class Range:
    """From least to most."""

    low: int = 0
    high: int = 0

    def __add__(self, other: "Range") -> "Range":
        """Both together."""
        return Range(_capped(self.low + other.low), _capped(self.high + other.high))

    def __mul__(self, other: "Range") -> "Range":
        """One for each of the other."""
        return Range(_capped(self.low * other.low), _capped(self.high * other.high))

    def __or__(self, other: "Range") -> "Range":
        """What holds both."""
        return Range(min(self.low, other.low), max(self.high, other.high))

    def scaled(self, factor: float) -> "Range":
        """Times a factor, rounded up."""
        return Range(_scaled(self.low, factor), _scaled(self.high, factor))


def fixed(number: int) -> Range:
    """Exactly one number."""
    return Range(number, number)


ONE, UNKNOWN = fixed(1), Range(0, MAX_UINT)


def _capped(number: int) -> int:
    return min(number, MAX_UINT)


def _scaled(number: int, factor: float) -> int:
    product = float(number) * factor
    return MAX_UINT if product >= _TWO_TO_64 else min(math.ceil(product), MAX_UINT)

"""Quantities as Kubernetes reads and writes them."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.api.quantity import format_binary, parse_quantity

READ = {"0": 0, "192Gi": 192 << 30, "1500m": Fraction(3, 2), "1e3": 1000, "1E": 10**18, ".5k": 500, "-2Ki": -2048}


@pytest.mark.parametrize("text", READ)
def test_quantities_are_read_exactly(text: str) -> None:
    """Suffixes and exponents give exact numbers."""
    assert READ[text] == parse_quantity(text)


@pytest.mark.parametrize("text", ["", "Gi", "1 Gi", "1gi", "1Gi2", "0x10", "1e"])
def test_other_texts_are_refused(text: str) -> None:
    """What is no quantity is an error that shows it."""
    with pytest.raises(ValueError, match="expected a quantity"):
        parse_quantity(text)


@given(st.integers(0, 2**63 - 1))
def test_what_is_written_is_read_again(value: int) -> None:
    """Writing loses nothing."""
    assert value == parse_quantity(format_binary(value))


def test_canonical_form_takes_the_largest_suffix() -> None:
    """As the API server writes them back."""
    assert [format_binary(v) for v in (0, 304, 1024, 206141652992, 192 << 30)] == [
        "0",
        "304",
        "1Ki",
        "196592Mi",
        "192Gi",
    ]

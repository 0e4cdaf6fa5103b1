"""Errors are one line of text, whatever was found."""

from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.api.errors import HostError

TEXT = st.text(st.characters(), max_size=20)


@given(TEXT, TEXT)
def test_an_error_is_one_line_that_can_be_sent(where: str, found: str) -> None:
    """Line ends and halves of surrogate pairs among it included."""
    text = str(HostError(f"{where}\ud800", expected="x", found=f"{found}\n", action="y"))

    assert text.encode().decode() == text
    assert "\n" not in text
    assert text.endswith("; y")

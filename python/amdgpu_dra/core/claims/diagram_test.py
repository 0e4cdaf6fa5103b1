"""The diagram of a claim's states is drawn from the table, and the one in the docs is current."""

from pathlib import Path

from amdgpu_dra.core.claims import TABLE, draw_states

REFERENCE = Path("docs/reference/claim-states.md")


def test_the_reference_is_current() -> None:
    """docs/reference/claim-states.md is what the table says; the message holds the new text."""
    assert REFERENCE.read_text() == draw_states()


def test_every_row_is_drawn() -> None:
    """Each state has an arrow for each call, and a line in the table."""
    lines = draw_states().splitlines()

    for state, event in TABLE:
        word = event.name.capitalize()
        assert any(line.startswith(f"    {state} --> ") and f": {word} / " in line for line in lines)
        assert any(line.startswith(f"| {state} | {word} |") for line in lines)

"""Reason codes: each has its help, and the reference in the docs is current."""

from pathlib import Path

from amdgpu_dra.api.reasons import HELP, Reason

REFERENCE = Path("docs/reference/reasons.md")


def test_every_reason_says_what_to_do() -> None:
    """The table has a line for each code, and codes are values that a label may have."""
    assert list(HELP) == list(Reason)
    assert all(code.isalnum() and len(code) < 64 for code in Reason)


def test_the_reference_is_current() -> None:
    """docs/reference/reasons.md is what the table says; the message holds the new text."""
    rows = ["| reason | what it means, and what to do |", "|---|---|"]
    rows += [f"| `{code}` | {text} |" for code, text in HELP.items()]
    head = (
        "# Reasons\n\nWhy a device is withheld, tainted or not offered: the same code in logs, Events and metrics.\n\n"
    )

    assert REFERENCE.read_text() == head + "\n".join(rows) + "\n"

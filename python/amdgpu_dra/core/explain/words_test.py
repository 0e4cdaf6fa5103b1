"""The reference of causes is current."""

import string
from pathlib import Path

from amdgpu_dra.core.explain import WORDS, Cause

REFERENCE = Path("docs/reference/refusals.md")
HEAD = """# Refusals

Why a claim does not fit, as `explain` prints it: the code that `--json` gives, the reason, and what to change. Words \
in *italics* stand for what the line names. Codes marked with ! end the scheduler's attempt on every node.

| code | reason | what to change |
|---|---|---|
"""


def _shown(template: str) -> str:
    """The template as a reader of the docs sees it; a part that is only sometimes there is left out."""
    parts = []
    for text, name, _, _ in string.Formatter().parse(template):
        parts += [text.replace("|", "\\|"), f"*{name}*" if name and name != "shown" else ""]
    return "".join(parts)


def test_the_reference_is_current() -> None:
    """docs/reference/refusals.md is what the table says; the message holds the new text."""
    rows = [
        f"| `{cause}`{' !' if cause.is_error else ''} | {_shown(words.reason)} | {_shown(words.change)} |"
        for cause, words in WORDS.items()
    ]

    assert REFERENCE.read_text() == HEAD + "\n".join(rows) + "\n"


def test_every_cause_says_what_to_change() -> None:
    """No reason and no advice is empty, and none is long enough to break a line of its own."""
    assert list(WORDS) == list(Cause)
    assert all(words.change and len(words.reason) + len(words.change) < 240 for words in WORDS.values())

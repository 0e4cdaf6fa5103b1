"""What the page on reliability says of tests is true."""

import re
from pathlib import Path

from amdgpu_dra.testing.fuzz import TARGETS

PAGE = Path("docs/reliability.md")


def test_every_test_that_the_page_names_exists() -> None:
    """By file and name, in the checkout's tests; and at least one stands in each row."""
    section = PAGE.read_text().partition("## What users of other drivers report")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
    defined = {
        f"{path.stem}::{name}"
        for path in Path("python").rglob("*_test.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
    }

    assert len(rows) >= 14
    for row in rows:
        named = re.findall(r"`(\w+::\w+)`", row)
        assert named, row
        assert set(named) <= defined, set(named) - defined


def test_the_page_has_every_target() -> None:
    """The table of targets is the registry."""
    text = PAGE.read_text()

    for target in TARGETS.values():
        assert f"| `{target.name}` | {target.reads} |" in text

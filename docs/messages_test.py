"""Messages and Events that pages quote are those of the product, so that a search for one finds its page."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path("pyproject.toml").resolve().parent
# What differs from case to case is "…" on a page.
GAP = "…"
# A quotation that says less than this would be found anywhere.
SHORTEST = 8
CODE = re.compile(r"`([^`]+)`")
PAGES = sorted((ROOT / "docs").rglob("*.md"))
# A test of its own holds this one against the table.
REASONS = ROOT / "docs/reference/reasons.md"


def _where(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _cells(page: Path, head: str) -> Iterator[str]:
    """The first cells of every table of a page whose first column is headed so."""
    inside = False
    for line in page.read_text().splitlines():
        first = line.split("|")[1].strip() if line.startswith("|") else None
        if first is None:
            inside = False
        elif first == head:
            inside = True
        elif inside and first.strip("-"):
            yield first


def _of_string(node: ast.expr) -> str | None:
    """The text of a string in a source, with a gap for each value that is put in; None if it is no string."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(_of_string(part) or GAP for part in node.values)
    return None


def _of_python(node: ast.AST) -> Iterator[str]:
    """Strings below a node, but for docstrings: those are told to nobody who runs the product."""
    for child in ast.iter_child_nodes(node):
        text = _of_string(child) if isinstance(child, ast.expr) else None
        if text is not None:
            yield text
        if not (isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)):
            yield from _of_python(child)


@cache
def _messages() -> tuple[str, ...]:
    """What the product's programs and the chart can say."""
    product = ROOT / "python/amdgpu_dra"
    found: list[str] = []
    for path in product.rglob("*.py"):
        if not path.name.endswith("_test.py") and not path.is_relative_to(product / "testing"):
            found += _of_python(ast.parse(path.read_text()))
    for path in (ROOT / "charts").rglob("*"):
        if path.suffix in {".tpl", ".yaml", ".txt"}:
            # Templates put values in by `%s` of printf.
            found += (re.sub(r"%[sdv]", GAP, text) for text in re.findall(r'"([^"\n]+)"', path.read_text()))
    return tuple(" ".join(text.split()) for text in found)


def _is_said(quoted: str) -> bool:
    """Whether one message has all that is quoted, in this order."""
    parts = [part.strip() for part in quoted.split(GAP)]
    pattern = re.compile(".*".join(map(re.escape, parts)))
    return any(pattern.search(text) for text in _messages())


@pytest.mark.parametrize("page", PAGES, ids=_where)
def test_messages_are_the_products(page: Path) -> None:
    """What a table quotes below "the message has" stands in the sources, in one string and in that order."""
    for cell in _cells(page, "the message has"):
        quoted = CODE.findall(cell)
        assert quoted, f"{_where(page)}: nothing is quoted in {cell!r}"
        for text in quoted:
            assert len(text.replace(GAP, "")) >= SHORTEST, f"{_where(page)}: {text!r} could be anything"
            assert _is_said(text), f"{_where(page)}: nothing in the product says {text!r}"


@pytest.mark.parametrize("page", PAGES, ids=_where)
def test_events_are_the_products(page: Path) -> None:
    """What a table names below "Event" or "reason" is a code of the reference of reasons."""
    known = {code for cell in _cells(REASONS, "reason") for code in CODE.findall(cell)}
    for head in ("Event", "reason"):
        for cell in _cells(page, head):
            for code in CODE.findall(cell):
                assert code in known, f"{_where(page)}: no reason {code}"


def test_the_pages_quote_something() -> None:
    """The two pages of symptoms have such tables; a heading of another wording would be checked by nobody."""
    for name in ("troubleshooting.md", "troubleshoot-partitions.md"):
        assert len(list(_cells(ROOT / "docs/howto" / name, "the message has"))) > SHORTEST


@pytest.mark.parametrize(
    ("quoted", "said"),
    [
        ("expected a device of driver", False),
        ("it is prepared for claim … (UID …)", True),
        ("(UID …) it is prepared for claim", False),
        ("image.repository: expected the repository", True),
        ("Strings below a node, but for docstrings", False),
    ],
    ids=["across-two-strings", "gaps", "order", "chart", "no-docstring"],
)
def test_what_counts_as_said(quoted: str, said: bool) -> None:  # noqa: FBT001 - a case of the table
    """A quotation is found in one string, with gaps where values are put in, and never in a docstring."""
    assert _is_said(quoted) is said

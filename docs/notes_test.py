"""Fragments are what `docs/changes/README.md` says, and make one release note."""

import re
from pathlib import Path

import pytest
from notes import KINDS, make_note, read_fragments

ROOT = Path("pyproject.toml").resolve().parent


def test_every_fragment_is_in_the_note() -> None:
    """The fragments of this checkout make a note: each text is in it, below its kind, and kinds are in order."""
    fragments = read_fragments(ROOT)
    note = make_note(fragments)

    headings = re.findall(r"^## (\w+)$", note, re.MULTILINE)
    assert headings == [kind.capitalize() for kind in KINDS if f".{kind}.md" in " ".join(fragments)]
    for name, text in fragments.items():
        first = " ".join(re.sub(r"^- ", "", text).replace("](../", "](docs/").split())[:40]
        section = note.partition(f"## {name.split('.')[1].capitalize()}\n")[2].partition("\n## ")[0]
        assert first in section, name


def test_links_are_those_of_the_root() -> None:
    """Each file that the note links to is there, from the root of the repository."""
    for target in re.findall(r"\]\(([^)#:]+)[^):]*\)", make_note(read_fragments(ROOT))):
        assert (ROOT / target).exists(), target


def test_a_list_is_as_many_points() -> None:
    """A fragment that is a list gives its points; another is one, on one line."""
    assert make_note({"a.fixed.md": "- One\n  more.\n- Two.\n", "b.added.md": "Three\nfour.\n"}) == (
        "## Added\n\n- Three four.\n\n## Fixed\n\n- One more.\n- Two.\n"
    )


@pytest.mark.parametrize(
    "fragments",
    [{"a.better.md": "Text."}, {"a.md": "Text."}, {"A b.added.md": "Text."}, {"a.added.md": " \n"}],
    ids=["kind", "no-kind", "subject", "empty"],
)
def test_what_is_no_fragment_is_refused(fragments: dict[str, str]) -> None:
    """With its name, and what it should be."""
    (name,) = fragments

    with pytest.raises(ValueError, match=re.escape(name)):
        make_note(fragments)

"""Prints the release note that the fragments of `docs/changes` make: `./bazelw run //docs:notes`."""

import os
import re
from pathlib import Path

FOLDER = Path("docs/changes")
KINDS = ("added", "changed", "fixed", "removed")
_NAME = re.compile(rf"[a-z0-9-]+\.({'|'.join(KINDS)})\.md")
_LIST = re.compile(r"^- ", re.MULTILINE)


def make_note(fragments: dict[str, str]) -> str:
    """The note, from the names of files to their texts: a heading for each kind, a point for each change.

    Raises:
        ValueError: a name that is no fragment's, or one that says nothing.
    """
    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for name, text in sorted(fragments.items()):
        match = _NAME.fullmatch(name)
        if match is None or not text.strip():
            raise ValueError(f"{FOLDER / name}: expected SUBJECT.KIND.md, KIND one of {', '.join(KINDS)}, and a text")
        found[match[1]] += _points(text)
    parts = [f"## {kind.capitalize()}\n\n" + "\n".join(points) + "\n" for kind, points in found.items() if points]
    return "\n".join(parts)


def _points(text: str) -> list[str]:
    """The points of a fragment, one line each: those of its list, or all of it as one."""
    rooted = text.strip().replace("](../", "](docs/")
    points = _LIST.split(rooted)[1:] if rooted.startswith("- ") else [rooted]
    return ["- " + " ".join(point.split()) for point in points]


def read_fragments(root: Path) -> dict[str, str]:
    """The fragments of a checkout; the folder's own page is none."""
    return {path.name: path.read_text() for path in (root / FOLDER).iterdir() if path.name != "README.md"}


if __name__ == "__main__":
    print(make_note(read_fragments(Path(os.environ.get("BUILD_WORKSPACE_DIRECTORY", ".")))), end="")

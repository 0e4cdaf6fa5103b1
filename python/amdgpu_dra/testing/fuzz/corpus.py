"""The kept inputs: one folder for each target, one file for each input."""

from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"


def read_corpus(target: str) -> dict[str, bytes]:
    """Name -> input of what is kept for a target."""
    folder = FOLDER / target
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())} if folder.is_dir() else {}

"""The kept inputs: one folder for each target, one file for each input."""

from pathlib import Path

# By its folder, not by its name alone: libraries of a test lie below a path that holds that name too.
PRODUCT = str(Path(__file__).parents[2])
FOLDER = Path(__file__).parent / "corpus"


def read_corpus(target: str) -> dict[str, bytes]:
    """Name -> input of what is kept for a target."""
    folder = FOLDER / target
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())} if folder.is_dir() else {}

"""One layer made twice is the same: the second time from other folders, in another order, under another hash seed."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

TOOL, LAYER = Path(os.environ["TOOL"]).resolve(), Path(os.environ["LAYER"])
INPUTS = [Path(path) for path in os.environ["INPUTS"].split()]


def _debian(folder: Path) -> list[str]:
    """The packages, copied and the other way round."""
    return [shutil.copy(str(path), str(folder / path.name)) for path in reversed(INPUTS)]


def _python(folder: Path) -> list[str]:
    """The list of files, the other way round and as this test sees them; the program is the one of the first line."""
    (manifest,) = INPUTS
    head, *rows = manifest.read_text().splitlines()
    shorts = [row.split("\t")[1] for row in reversed(rows)]
    turned = folder / "manifest"
    turned.write_text("\n".join([head, *(f"{Path(short).absolute()}\t{short}" for short in shorts)]) + "\n")
    return [str(turned)]


def test_same_input_gives_the_same_layer(tmp_path: Path) -> None:
    """Neither folder, order, time nor what else a process has loaded shows in the bytes."""
    again = tmp_path / "again.tar.gz"
    inputs = {"debian": _debian, "files": _debian, "python": _python}[os.environ["KIND"]](tmp_path)

    subprocess.run(
        [sys.executable, "-I", TOOL, os.environ["KIND"], again, *inputs],
        cwd=tmp_path,
        env={"PYTHONHASHSEED": "77"},
        check=True,
    )

    assert hashlib.sha256(LAYER.read_bytes()).hexdigest() == hashlib.sha256(again.read_bytes()).hexdigest()

"""Where captures and recorded results lie that do not belong to the repository; tests that want them skip without."""

import os
import tarfile
from pathlib import Path

import pytest

__all__ = ["shared_folder", "unpack"]


def shared_folder(name: str) -> Path:
    """A folder beside the checkout's `../shared`; skips the test, with the reason, where it is absent."""
    root = os.environ.get("AMDGPU_DRA_SHARED") or ""
    path = Path(root) / name
    if not root or not path.is_dir():
        pytest.skip(f"../shared/{name} is absent")
    return path


def unpack(archive: Path, out: Path) -> Path:
    """Unpacks a capture into a folder and gives it."""
    with tarfile.open(archive) as tar:
        tar.extractall(out, filter="data")
    return out

"""Mounts the disk for a test."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from amdgpu_dra.edge.fakekernel import serve_fuse, unmount
from amdgpu_dra.testing.cutfs.disk import CutDisk
from amdgpu_dra.testing.cutfs.filesystem import FileSystem, end_caller
from amdgpu_dra.testing.fakekernel import need_fuse


@dataclass(frozen=True, slots=True)
class CutMount:
    """A disk, and the folder where it is mounted."""

    disk: CutDisk
    path: Path

    def kill_callers(self) -> None:
        """From now on a stop kills the process that asks, which must not be the one that has the disk."""
        self.disk.on_stop(end_caller)


@contextmanager
def cut_mount() -> Iterator[CutMount]:
    """A disk of its own under a short path, until the context ends; skips the test where FUSE cannot be mounted."""
    need_fuse()
    disk = CutDisk()
    with tempfile.TemporaryDirectory(prefix="amdgpu-", dir="/tmp") as folder:
        path = Path(folder) / "disk"
        path.mkdir()
        # One thread: the order of the changes is the order of the calls.
        thread = serve_fuse(partial(FileSystem, disk), str(path), "cutfs", nothreads=True, hard_remove=True)
        try:
            yield CutMount(disk, path)
        finally:
            unmount(str(path))
            thread.join()

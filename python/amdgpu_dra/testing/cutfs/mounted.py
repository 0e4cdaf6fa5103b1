"""Mounts the disk for a test."""

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from amdgpu_dra.edge.fakekernel import unmount
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
        thread = _serve(disk, path)
        try:
            yield CutMount(disk, path)
        finally:
            unmount(str(path))
            thread.join()


def _serve(disk: CutDisk, path: Path) -> threading.Thread:
    ready = threading.Event()
    failed: list[BaseException] = []

    def serve() -> None:
        try:
            # One thread: the order of the changes is the order of the calls. Nothing is cached: every call arrives.
            import_module("mfusepy").FUSE(
                FileSystem(disk, ready.set),
                os.fspath(path),
                foreground=True,
                nothreads=True,
                fsname="cutfs",
                allow_other=True,
                direct_io=True,
                hard_remove=True,
                attr_timeout=0,
                entry_timeout=0,
                negative_timeout=0,
            )
        except (RuntimeError, OSError) as error:
            failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=serve, name="cutfs", daemon=True)
    thread.start()
    ready.wait()
    if failed:
        raise RuntimeError(f"a cutfs does not mount: {failed[0]!r}")
    return thread

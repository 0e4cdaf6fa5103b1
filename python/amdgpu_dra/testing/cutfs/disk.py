"""`CutDisk`: a file system in memory that keeps apart what was not synced.

Stricter than any real one. The bytes of a file and the names in a folder are two things: a sync of a file makes no name
durable, a sync of a folder no bytes. Nothing is ordered: of the changes since the last sync any may be lost and any
kept, a rename is a new name and an old name that goes, each for itself, and a write is as many changes as it has
sectors. What ext4 does beyond POSIX (replacing by rename flushes the bytes, a journal orders the names) is not granted.
"""

import errno
import itertools
import os
import stat
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from amdgpu_dra.testing.cutfs.faults import Fault, Operation, Stop
from amdgpu_dra.testing.cutfs.inode import Inode

# Changes; those of other kinds (chmod, times) are no matter of durability here.
VERBS = ("create", "mkdir", "mknod", "write", "truncate", "sync", "rename", "unlink", "rmdir")


class CutDisk:
    """Paths begin with a slash. Every call may raise OSError, as the kernel would.

    Attributes:
        faults: what goes wrong; looked at before anything is done.
        capacity: bytes that fit on it, None for no end.
        ignores: of which syncs, by path, it says that they were made, and makes them not.
        stop: whom to end, and where.
        halted: nothing works any more: the machine is off, or whoever used the disk is dead.
        changes: what was asked for, in order.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._end: Callable[[], None] = lambda: None
        self.format()

    def format(self) -> None:
        """Empties the disk, and forgets what it was told."""
        with self._lock:
            self._numbers = itertools.count(2)
            self._root = Inode(number=1, mode=stat.S_IFDIR | 0o755)
            self._made = [self._root]
            self.faults: list[Fault] = []
            self.capacity: int | None = None
            self.ignores: Callable[[str], bool] = lambda _path: False
            self.stop: Stop | None = None
            self.halted = False
            self.changes: list[Operation] = []

    def on_stop(self, end: Callable[[], None]) -> None:
        """How whoever asks is ended; without it the disk halts and nobody is."""
        self._end = end

    # What may be asked.

    def find(self, path: str) -> Inode:
        """What a path stands for."""
        with self._lock:
            self._check("find", path)
            node = self._root
            for part in filter(None, path.split("/")):
                if not node.is_folder:
                    raise _error(errno.ENOTDIR, path)
                if part not in node.names:
                    raise _error(errno.ENOENT, path)
                node = node.names[part]
            return node

    def make(self, verb: str, path: str, mode: int) -> Inode:
        """Makes a file, a folder or a node: `verb` is create, mkdir or mknod."""
        with self._change(verb, path):
            folder, name = self._parent(path)
            if name in folder.names:
                raise _error(errno.EEXIST, path)
            node = Inode(number=next(self._numbers), mode=mode)
            self._made.append(node)
            folder.enter(name, node)
            return node

    def write(self, path: str, node: Inode, offset: int, data: bytes) -> int:
        """Writes into a file; how much, which is less than all on a disk that gets full."""
        with self._change("write", path):
            if self.capacity is not None:
                room = self.capacity - self._used()
                if data and room <= 0:
                    raise _error(errno.ENOSPC, path)
                data = data[:room]
            node.write(offset, data)
            return len(data)

    def truncate(self, path: str, node: Inode, length: int) -> None:
        """Sets a file's length."""
        with self._change("truncate", path):
            node.truncate(length)

    def sync(self, path: str, node: Inode) -> None:
        """Makes a file's bytes durable, or a folder's names."""
        with self._change("sync", path):
            if not self.ignores(path):
                node.sync()

    def rename(self, old: str, new: str) -> None:
        """Gives an entry another name, in place of what has it."""
        with self._change("rename", f"{old} -> {new}"):
            source, before = self._parent(old)
            target, after = self._parent(new)
            if before not in source.names:
                raise _error(errno.ENOENT, old)
            node, there = source.names[before], target.names.get(after)
            if there is not None and there.is_folder and (there.names or not node.is_folder):
                raise _error(errno.ENOTEMPTY if there.names else errno.EISDIR, new)
            target.enter(after, node)
            source.enter(before, None)

    def remove(self, verb: str, path: str) -> None:
        """Forgets a name: `verb` is unlink or rmdir."""
        with self._change(verb, path):
            folder, name = self._parent(path)
            node = folder.names.get(name)
            if node is None:
                raise _error(errno.ENOENT, path)
            if node.is_folder != (verb == "rmdir"):
                raise _error(errno.EISDIR if node.is_folder else errno.ENOTDIR, path)
            if node.names:
                raise _error(errno.ENOTEMPTY, path)
            folder.enter(name, None)

    # What a test does to it.

    @property
    def unsynced(self) -> int:
        """How many pieces the next cut may take."""
        return sum(node.unsynced for node in self._made)

    def halt_after(self, changes: int) -> None:
        """Lets so many more changes through, and then nothing more."""
        self.stop = Stop(number=len(self.changes) + changes + 1, after=False)

    def resume(self) -> None:
        """It works again, and what was asked for is there: whoever used it died, the machine did not."""
        self.halted, self.stop = False, None

    def cut(self, kept: Iterable[bool]) -> None:
        """Power off and on. `kept`: for each unsynced piece, in the order of inodes, whether the disk has it."""
        with self._lock:
            flags = iter([*kept])
            for node in self._made:
                node.lose(flags)
            self.resume()

    def tree(self) -> dict[str, bytes | None]:
        """Path -> bytes of every file, None of everything else."""
        return dict(_walk(self._root, ""))

    def _parent(self, path: str) -> tuple[Inode, str]:
        head, _, name = path.rpartition("/")
        folder = self.find(head)
        if not folder.is_folder:
            raise _error(errno.ENOTDIR, path)
        return folder, name

    def _used(self) -> int:
        return sum(len(data) for data in self.tree().values() if data is not None)

    def _check(self, verb: str, path: str) -> None:
        if self.halted:
            raise _error(errno.EIO, path)
        for at, fault in enumerate(self.faults):
            if fault.meets(verb, path):
                if fault.times is not None:
                    left = Fault(errno=fault.errno, verbs=fault.verbs, path=fault.path, times=fault.times - 1)
                    self.faults[at : at + 1] = [left] if left.times else []
                raise _error(fault.errno, path)

    @contextmanager
    def _change(self, verb: str, path: str) -> Iterator[None]:
        with self._lock:
            self._check(verb, path)
            here = Operation(number=len(self.changes) + 1, verb=verb, path=path)
            stop = self.stop if self.stop is not None and self.stop.number == here.number else None
            if stop is not None and not stop.after:
                self._halt(path)
            self.changes.append(here)
            yield
            if stop is not None:
                self._halt(path)

    def _halt(self, path: str) -> None:
        self.halted = True
        self._end()
        raise _error(errno.EIO, path)


def _walk(folder: Inode, path: str) -> Iterator[tuple[str, bytes | None]]:
    for name, node in sorted(folder.names.items()):
        yield f"{path}/{name}", bytes(node.data) if stat.S_ISREG(node.mode) else None
        yield from _walk(node, f"{path}/{name}")


def _error(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path)

"""The disk as callbacks of FUSE."""

import errno
import itertools
import os
import signal
import stat
from collections.abc import Callable, Iterator
from importlib import import_module

from amdgpu_dra.testing.cutfs.disk import CutDisk
from amdgpu_dra.testing.cutfs.inode import Inode


class FileSystem:
    """What mfusepy calls, one call at a time. Open files are found by their handle, as they may have no name."""

    use_ns = True

    def __init__(self, disk: CutDisk, ready: Callable[[], None]) -> None:
        self._disk, self._ready = disk, ready
        self._handles = itertools.count(1)
        self._open: dict[int, Inode] = {}

    def init(self, _path: str) -> None:
        """The kernel has taken the mount."""
        self._ready()

    def _node(self, path: str | None, handle: int | None = None) -> Inode:
        if handle is not None and handle in self._open:
            return self._open[handle]
        return self._disk.find(path or "/")

    def _handle(self, node: Inode) -> int:
        handle = next(self._handles)
        self._open[handle] = node
        return handle

    def getattr(self, path: str, handle: int | None = None) -> dict[str, int]:
        """Type, permissions, size."""
        node = self._node(path, handle)
        return {
            "st_mode": node.mode,
            "st_ino": node.number,
            "st_size": len(node.data),
            "st_nlink": 1,
            "st_uid": os.geteuid(),
            "st_gid": os.getegid(),
        }

    def readdir(self, path: str, _handle: int) -> Iterator[str]:
        """The names in a folder."""
        return iter([".", "..", *sorted(self._disk.find(path).names)])

    def opendir(self, path: str) -> int:
        """A handle."""
        return self._handle(self._disk.find(path))

    def releasedir(self, _path: str, handle: int) -> int:
        """Forgets a handle."""
        self._open.pop(handle, None)
        return 0

    def create(self, path: str, mode: int) -> int:
        """A new file, open."""
        return self._handle(self._disk.make("create", path, stat.S_IFREG | stat.S_IMODE(mode)))

    def open(self, path: str, flags: int) -> int:
        """An open file, empty if that was asked for."""
        node = self._disk.find(path)
        if flags & os.O_TRUNC and node.data:
            self._disk.truncate(path, node, 0)
        return self._handle(node)

    def read(self, path: str, size: int, offset: int, handle: int) -> bytes:
        """Bytes of now."""
        return bytes(self._node(path, handle).data[offset : offset + size])

    def write(self, path: str, data: bytes, offset: int, handle: int) -> int:
        """How much was written."""
        return self._disk.write(path, self._node(path, handle), offset, data)

    def truncate(self, path: str, length: int, handle: int | None = None) -> int:
        """Sets the length."""
        self._disk.truncate(path, self._node(path, handle), length)
        return 0

    def release(self, _path: str, handle: int) -> int:
        """Forgets a handle."""
        self._open.pop(handle, None)
        return 0

    def fsync(self, path: str, _data: int, handle: int) -> int:
        """Makes bytes durable."""
        self._disk.sync(path, self._node(path, handle))
        return 0

    def fsyncdir(self, path: str, _data: int, handle: int) -> int:
        """Makes names durable."""
        self._disk.sync(path, self._node(path, handle))
        return 0

    def mkdir(self, path: str, mode: int) -> int:
        """A new folder."""
        self._disk.make("mkdir", path, stat.S_IFDIR | stat.S_IMODE(mode))
        return 0

    def mknod(self, path: str, mode: int, _device: int) -> int:
        """A new socket, or another node without bytes."""
        self._disk.make("mknod", path, mode)
        return 0

    def rename(self, old: str, new: str) -> int:
        """Another name."""
        self._disk.rename(old, new)
        return 0

    def unlink(self, path: str) -> int:
        """Forgets a name."""
        self._disk.remove("unlink", path)
        return 0

    def rmdir(self, path: str) -> int:
        """Forgets an empty folder."""
        self._disk.remove("rmdir", path)
        return 0

    def chmod(self, path: str, mode: int) -> int:
        """Sets permissions."""
        node = self._disk.find(path)
        node.mode = stat.S_IFMT(node.mode) | stat.S_IMODE(mode)
        return 0

    def chown(self, _path: str, _user: int, _group: int) -> int:
        """Nothing comes of it."""
        return 0

    def utimens(self, _path: str, _times: tuple[int, int] | None) -> int:
        """Nothing comes of it."""
        return 0

    def statfs(self, _path: str) -> dict[str, int]:
        """A small disk."""
        return {"f_bsize": 4096, "f_frsize": 4096, "f_blocks": 1 << 16, "f_bfree": 1 << 15, "f_bavail": 1 << 15}

    def getxattr(self, path: str, _name: str, _position: int = 0) -> bytes:
        """There are none."""
        raise OSError(errno.ENODATA, os.strerror(errno.ENODATA), path)


def end_caller() -> None:
    """Kills the process that made the request being answered, with no chance to notice."""
    os.kill(import_module("mfusepy").fuse_get_context()[2], signal.SIGKILL)

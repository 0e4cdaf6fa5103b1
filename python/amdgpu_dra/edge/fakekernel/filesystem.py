"""The callbacks of FUSE: a node's tree as files that behave as those of sysfs."""

import errno
import itertools
import os
import stat
import time
from collections.abc import Callable, Iterator

from amdgpu_dra.core.fakegpu import KFD
from amdgpu_dra.core.gpu import TreeText, Unreadable
from amdgpu_dra.edge.fakekernel.node import Node, failure

_PAGE = 4096
# A folder that is there also while nothing is in it.
_KEPT = f"{KFD}/proc"


class FileSystem:
    """What mfusepy calls, from several threads at once. Paths come with a leading slash and without links."""

    use_ns = True

    def __init__(self, node: Node, ready: Callable[[], None] | None = None) -> None:
        self._node = node
        self._ready = ready
        self._since = time.time_ns()  # noqa: TID251 - shown by stat
        self._handles = itertools.count(1)
        # What a file held when it was read from its start: sysfs makes the text once for each such read.
        self._texts: dict[int, bytes] = {}

    def init(self, _path: str) -> None:
        """The kernel has taken the mount."""
        if self._ready is not None:
            self._ready()

    def getattr(self, path: str, _handle: int | None = None) -> dict[str, int]:
        """Type, permissions, size: every file of sysfs has one page."""
        tree, name = self._node.tree, path.strip("/")
        if name in tree.links:
            mode, size = stat.S_IFLNK | 0o777, len(tree.links[name])
        elif name in tree.files:
            mode, size = stat.S_IFREG | (0o644 if name in tree.writable else 0o444), _PAGE
        elif self._is_folder(tree, name):
            mode, size = stat.S_IFDIR | 0o755, 0
        else:
            raise failure("ENOENT", path)
        times = dict.fromkeys(("st_atime", "st_mtime", "st_ctime"), self._since)
        return {"st_mode": mode, "st_size": size, "st_nlink": 1, "st_uid": 0, "st_gid": 0, **times}

    @staticmethod
    def _is_folder(tree: TreeText, name: str) -> bool:
        return name in ("", _KEPT) or next(tree.children(name), None) is not None

    def readdir(self, path: str, _handle: int) -> Iterator[str]:
        """The names in a folder."""
        tree, name = self._node.tree, path.strip("/")
        if not self._is_folder(tree, name):
            raise failure("ENOENT", path)
        names = {".", "..", *filter(None, tree.children(name))}
        if name == _KEPT.rpartition("/")[0]:
            names.add("proc")
        return iter(sorted(names))

    def readlink(self, path: str) -> str:
        """The target as written."""
        target = self._node.tree.links.get(path.strip("/"))
        if target is None:
            raise failure("EINVAL", path)
        return target

    def open(self, path: str, flags: int) -> int:
        """A handle. EACCES for writing what has no write bit, root or not, as kernfs does."""
        tree, name = self._node.tree, path.strip("/")
        if name not in tree.files:
            raise failure("ENOENT", path)
        if flags & os.O_ACCMODE != os.O_RDONLY and name not in tree.writable:
            raise failure("EACCES", path)
        return next(self._handles)

    def create(self, path: str, _mode: int) -> int:
        """Nobody makes files in sysfs."""
        raise failure("EACCES", path)

    def truncate(self, path: str, _length: int, _handle: int | None = None) -> int:
        """What a shell does before it writes; it changes nothing."""
        name = path.strip("/")
        if name not in self._node.tree.writable:
            raise failure("EACCES", path)
        return 0

    def read(self, path: str, size: int, offset: int, handle: int) -> bytes:
        """The text of now if read from the start, else the rest of what was read then."""
        if offset == 0 or handle not in self._texts:
            self._texts[handle] = self._text(path)
        return self._texts[handle][offset : offset + size]

    def _text(self, path: str) -> bytes:
        self._node.wait_readable(path)
        text = self._node.tree.files.get(path.strip("/"))
        if text is None:
            raise failure("ENODEV", path)
        if isinstance(text, Unreadable):
            known = hasattr(errno, text.errno)
            raise failure(text.errno if known else "EIO", path)
        return text.encode()

    def write(self, path: str, data: bytes, _offset: int, _handle: int) -> int:
        """All of it, or an errno."""
        self._node.write(path.strip("/"), data)
        return len(data)

    def release(self, _path: str, handle: int) -> int:
        """Forgets a handle."""
        self._texts.pop(handle, None)
        return 0

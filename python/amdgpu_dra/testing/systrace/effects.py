"""From a stopped call to an effect: a verb and a target, or nothing if it changes nothing that lasts or is seen."""

import mmap
import os
import re
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from amdgpu_dra.testing.systrace.calls import CALLS, How
from amdgpu_dra.testing.systrace.ptrace import Entered, read_memory, read_string

_AT_FDCWD = 0xFFFFFF9C
# Names that a socket has until it is renamed: each run draws others.
_DRAWN = re.compile(r"/\.(?:[a-z.]+\.|s)[0-9a-f]{4}(?![0-9a-f])")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Compiled modules are Python's, names of users the C library's, devices keep nothing: nobody's state.
_NOBODYS = re.compile(r"/dev/(null|tty|pts/.*)|/var/run/nscd/.*|.*\.pyc(\.\d+)?|.*/__pycache__(/.*)?")
_READING = (b"GET ", b"HEAD ", b"OPTIONS ")
_VERB = re.compile(rb"(POST|PUT|PATCH|DELETE) (\S+)")
# Frames of HTTP/2 that carry a call or its answer; the others are of the connection.
_DATA, _HEADERS = 0, 1
_LONGEST = 1 << 16


class Effects:
    """Names effects in words that are the same in every run: without the folder and the UIDs of this one.

    Args:
        root: the folder below which the process works.
        spared: files that are no effects: its log.
    """

    def __init__(self, root: str, spared: tuple[str, ...]) -> None:
        self._root, self._spared = root, spared
        self._sockets: dict[str, str] = {}
        self._writing: dict[str, str] = {}

    def name(self, thread: int, entered: Entered) -> str | None:
        """The effect that a call is going to have."""
        call = CALLS[entered.number]
        if call.how in (How.BYTES, How.VECTOR, How.MESSAGE):
            return self._sent(thread, call.how, entered.arguments)
        target = self._target(thread, call.how, entered.arguments)
        return None if target is None else self._said(f"{call.verb} {target}")

    def _target(self, thread: int, how: How, arguments: tuple[int, ...]) -> str | None:
        first, second = arguments[:2]
        found: dict[How, Callable[[], str | None]] = {
            How.PATH: lambda: self._path(thread, _AT_FDCWD, first),
            How.PATH_AT: lambda: self._path(thread, first, second),
            How.TWO_PATHS: lambda: self._two(thread, _AT_FDCWD, first, _AT_FDCWD, second),
            How.TWO_PATHS_AT: lambda: self._two(thread, *arguments[:4]),
            How.SYMLINK_AT: lambda: self._path(thread, second, arguments[2]),
            How.FILE: lambda: self._file(thread, first),
            How.MAPPED: lambda: self._file(thread, arguments[4]) if arguments[2] & mmap.PROT_WRITE else None,
            How.SOCKET: lambda: self._socket(thread, first),
            How.ADDRESS: lambda: self._address(thread, second, arguments[2]),
            How.NOTHING: lambda: "",
        }
        return found[how]()

    def _said(self, text: str) -> str:
        return _UUID.sub("UID", _DRAWN.sub("/.DRAWN", text.replace(f"{self._root}/", ""))).strip()

    def _path(self, thread: int, folder: int, address: int) -> str | None:
        path = read_string(thread, address)
        if not path.startswith("/"):
            start = "cwd" if folder & 0xFFFFFFFF == _AT_FDCWD else f"fd/{folder & 0xFFFFFFFF}"
            path = os.path.normpath(f"{_link(thread, start)}/{path}")
        return None if self._is_nobodys(path) else path

    def _is_nobodys(self, path: str) -> bool:
        return path in self._spared or _NOBODYS.fullmatch(path) is not None

    def _two(self, thread: int, *arguments: int) -> str | None:
        old, new = (self._path(thread, folder, path) for folder, path in (arguments[:2], arguments[2:]))
        return None if old is None or new is None else f"{old} -> {new}"

    def _file(self, thread: int, number: int) -> str | None:
        path = _link(thread, f"fd/{number & 0xFFFFFFFF}")
        return path if path.startswith("/") and not self._is_nobodys(path) else None

    def _socket(self, thread: int, number: int) -> str | None:
        """The path of a Unix socket, `tcp`, or None for a pair without a name and for what is no socket."""
        link = _link(thread, f"fd/{number & 0xFFFFFFFF}")
        if not link.startswith("socket:["):
            return None
        if link not in self._sockets:
            self._sockets[link] = _name_of(thread, link[8:-1])
        return self._sockets[link] or None

    def _address(self, thread: int, address: int, length: int) -> str | None:
        raw = read_memory(thread, address, min(length, 128))
        family = struct.unpack_from("H", raw)[0] if len(raw) >= 2 else socket.AF_UNSPEC
        if family == socket.AF_UNIX:
            path = os.fsdecode(raw[2:].split(b"\0")[0])
            return None if not path or self._is_nobodys(path) else path
        # Not by its number: the system has chosen it.
        return {socket.AF_INET: "tcp", socket.AF_INET6: "tcp", socket.AF_NETLINK: "netlink"}.get(family)

    def _sent(self, thread: int, how: How, arguments: tuple[int, ...]) -> str | None:
        path = self._file(thread, arguments[0])
        if path is not None:
            return self._said(f"write {path}")
        name = self._socket(thread, arguments[0])
        if name is None:
            return None
        data = _bytes_of(thread, how, arguments)
        if name != "tcp":
            return self._said(f"answer {name}") if _carries_call(data) else None
        connection = _link(thread, f"fd/{arguments[0] & 0xFFFFFFFF}")
        if (verb := _VERB.match(data)) is not None:
            self._writing[connection] = verb[0].decode()
            return self._said(f"http {verb[0].decode()}")
        if data.startswith(_READING):
            self._writing.pop(connection, None)
        writing = self._writing.get(connection)
        return None if writing is None else self._said(f"http {writing}, more")


def _link(thread: int, name: str) -> str:
    try:
        return str(Path(f"/proc/{thread}/{name}").readlink()).removesuffix(" (deleted)")
    except OSError:
        return ""


def _name_of(thread: int, inode: str) -> str:
    with open(f"/proc/{thread}/net/unix", encoding="utf-8", errors="surrogateescape") as table:  # noqa: PTH123
        for line in table:
            fields = line.split()
            if fields[6] == inode:
                return fields[7] if len(fields) > 7 else ""
    return "tcp"


def _bytes_of(thread: int, how: How, arguments: tuple[int, ...]) -> bytes:
    address, length = arguments[1], arguments[2]
    if how is How.BYTES:
        return read_memory(thread, address, min(length, _LONGEST))
    if how is How.MESSAGE:
        header = read_memory(thread, address, 32)
        if len(header) < 32:
            return b""
        address, length = struct.unpack_from("QQ", header, 16)
    vector = read_memory(thread, address, 16 * min(length, 64))
    pieces = [struct.unpack_from("QQ", vector, at) for at in range(0, len(vector) - 15, 16)]
    return b"".join(read_memory(thread, at, min(size, _LONGEST)) for at, size in pieces)


def _carries_call(data: bytes) -> bool:
    at = 0
    while at + 9 <= len(data):
        length, kind = int.from_bytes(data[at : at + 3]), data[at + 3]
        if kind in (_DATA, _HEADERS):
            return True
        at += 9 + length
    return False

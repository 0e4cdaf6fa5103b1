"""The few requests of ptrace(2) that are needed."""

import ctypes
import os
import struct
from dataclasses import dataclass

_TRACEME, _CONT, _SYSCALL, _SETOPTIONS, _INFO = 0, 7, 24, 0x4200, 0x420E
_SYSGOOD, _FORK, _VFORK, _CLONE, _EXEC, _SECCOMP, _EXITKILL = 1, 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 7, 1 << 20
EVENT_SECCOMP = 7
# A stop at the end of a call.
SYSCALL_STOP = 5 | 0x80
_EXIT, _ENTERED = 2, (1, 3)

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
_LIBC.ptrace.restype = ctypes.c_long


def _request(request: int, thread: int, address: int = 0, data: int = 0) -> int:
    answer: int = _LIBC.ptrace(request, thread, address, data)
    if answer < 0:
        number = ctypes.get_errno()
        raise ProcessLookupError(number, os.strerror(number)) if number == 3 else OSError(number, os.strerror(number))
    return answer


def trace_me() -> None:
    """Makes the parent the tracer of this process."""
    _request(_TRACEME, 0)


def set_options(thread: int) -> None:
    """Stops at calls that a filter marks; follows threads and children; they end with the tracer."""
    _request(_SETOPTIONS, thread, 0, _SYSGOOD | _FORK | _VFORK | _CLONE | _EXEC | _SECCOMP | _EXITKILL)


def go_on(thread: int, signal: int = 0, *, to_end: bool = False) -> None:
    """Lets a thread run, with a signal; `to_end`: until the call that it is in ends."""
    _request(_SYSCALL if to_end else _CONT, thread, 0, signal)


@dataclass(frozen=True, slots=True)
class Entered:
    """A call that begins."""

    number: int
    arguments: tuple[int, ...]


def read_call(thread: int) -> Entered | int:
    """The call at which a thread stands, or the outcome of the one that it has ended: negative for an errno."""
    buffer = ctypes.create_string_buffer(88)
    _request(_INFO, thread, len(buffer), ctypes.addressof(buffer))
    raw = buffer.raw
    if raw[0] in _ENTERED:
        number, *arguments = struct.unpack_from("7Q", raw, 24)
        return Entered(number, tuple(arguments))
    outcome: int = struct.unpack_from("q", raw, 24)[0]
    return outcome


def read_memory(thread: int, address: int, length: int) -> bytes:
    """Bytes of a stopped thread; fewer where its memory ends."""
    try:
        handle = os.open(f"/proc/{thread}/mem", os.O_RDONLY)
    except OSError:
        return b""
    try:
        return os.pread(handle, length, address)
    except OSError:
        return b""
    finally:
        os.close(handle)


def read_string(thread: int, address: int) -> str:
    """A string that ends with a zero."""
    found = b""
    while b"\0" not in found and len(found) < 4096:
        # Up to the end of a page: the next one may not be there.
        at = address + len(found)
        piece = read_memory(thread, at, 256 - at % 256)
        if not piece:
            break
        found += piece
    return os.fsdecode(found.partition(b"\0")[0])

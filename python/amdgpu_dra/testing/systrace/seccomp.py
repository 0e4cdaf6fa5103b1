"""A filter that lets the kernel stop a process at the calls of the table, and at no other."""

import ctypes
import struct

from amdgpu_dra.testing.systrace.calls import AUDIT_ARCH, CALLS, Call

_LOAD, _EQUAL, _SET, _RETURN = 0x20, 0x15, 0x45, 0x06
_TRACE, _ALLOW = 0x7FF00000, 0x7FFF0000
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER = 38, 22, 2
type _Step = tuple[int, int, int, int]
"""Operation, jump if true, jump if false, operand."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_void_p))


def _argument(number: int) -> _Step:
    return _LOAD, 0, 0, _ARGUMENTS + 8 * number


def _judge(call: Call) -> list[_Step]:
    """The steps that end with a verdict about a call whose number fits."""
    if call.only is not None:
        argument, mask = call.only
        return [_argument(argument), (_SET, 0, 1, mask), (_RETURN, 0, 0, _TRACE), (_RETURN, 0, 0, _ALLOW)]
    if call.values is not None:
        argument, values = call.values
        steps = [_argument(argument)]
        for value in values:
            steps += [(_EQUAL, 0, 1, value), (_RETURN, 0, 0, _TRACE)]
        return [*steps, (_RETURN, 0, 0, _ALLOW)]
    return [(_RETURN, 0, 0, _TRACE)]


def program() -> bytes:
    """The filter, as the kernel reads it."""
    steps: list[_Step] = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, AUDIT_ARCH), (_RETURN, 0, 0, _ALLOW)]
    for number, call in CALLS.items():
        verdict = _judge(call)
        steps += [(_LOAD, 0, 0, _NUMBER), (_EQUAL, 0, len(verdict), number), *verdict]
    steps.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def install() -> None:
    """Puts the filter on this process and all that it starts. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    steps = program()
    buffer = ctypes.create_string_buffer(steps, len(steps))
    described = _Program(len(steps) // 8, ctypes.addressof(buffer))
    if (
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
        or libc.prctl(_PR_SET_SECCOMP, _FILTER, ctypes.byref(described), 0, 0) != 0
    ):
        raise OSError(ctypes.get_errno(), "a seccomp filter cannot be installed")

"""The system calls that change something outside of the process, and what of them is looked at."""

import os
from dataclasses import dataclass
from enum import Enum, auto

MACHINE = "x86_64"
AUDIT_ARCH = 0xC000003E


class How(Enum):
    """Where a call's target stands."""

    PATH = auto()  # argument 0
    PATH_AT = auto()  # arguments 0 and 1
    TWO_PATHS = auto()  # arguments 0 and 1
    TWO_PATHS_AT = auto()  # arguments 0 to 3
    SYMLINK_AT = auto()  # arguments 0 to 2
    FILE = auto()  # a file behind argument 0
    MAPPED = auto()  # a file behind argument 4
    BYTES = auto()  # a file or a socket behind argument 0, bytes at 1, length 2
    VECTOR = auto()  # the same, a vector at 1 of 2 pieces
    MESSAGE = auto()  # the same, a msghdr at 1
    ADDRESS = auto()  # a socket behind argument 0, an address at 1 of length 2
    SOCKET = auto()  # a socket behind argument 0
    NOTHING = auto()


@dataclass(frozen=True, slots=True)
class Call:
    """A system call: its verb in a report, where its target stands, and when it counts.

    Attributes:
        only: (argument, mask): the call counts if one of these bits is set in that argument.
        values: (argument, values): it counts if the argument is one of them.
    """

    verb: str
    how: How
    only: tuple[int, int] | None = None
    values: tuple[int, tuple[int, ...]] | None = None


_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_LOCKS = (6, 7, 37, 38)  # F_SETLK, F_SETLKW, F_OFD_SETLK, F_OFD_SETLKW
_SHARED = 0x01

CALLS: dict[int, Call] = {
    1: Call("write", How.BYTES),
    2: Call("open", How.PATH, only=(1, _WRITING)),
    9: Call("map", How.MAPPED, only=(3, _SHARED)),
    18: Call("write", How.BYTES),
    20: Call("write", How.VECTOR),
    26: Call("sync", How.NOTHING),
    40: Call("write", How.FILE),
    42: Call("connect", How.ADDRESS),
    43: Call("accept", How.SOCKET),
    44: Call("write", How.BYTES),
    46: Call("write", How.MESSAGE),
    48: Call("shutdown", How.SOCKET),
    49: Call("bind", How.ADDRESS),
    50: Call("listen", How.SOCKET),
    72: Call("lock", How.FILE, values=(1, _LOCKS)),
    73: Call("lock", How.FILE),
    74: Call("sync", How.FILE),
    75: Call("sync", How.FILE),
    76: Call("truncate", How.PATH),
    77: Call("truncate", How.FILE),
    82: Call("rename", How.TWO_PATHS),
    83: Call("mkdir", How.PATH),
    84: Call("rmdir", How.PATH),
    85: Call("open", How.PATH),
    86: Call("link", How.TWO_PATHS),
    87: Call("unlink", How.PATH),
    88: Call("symlink", How.TWO_PATHS),
    90: Call("chmod", How.PATH),
    91: Call("chmod", How.FILE),
    92: Call("chown", How.PATH),
    93: Call("chown", How.FILE),
    94: Call("chown", How.PATH),
    133: Call("mknod", How.PATH),
    162: Call("sync", How.NOTHING),
    165: Call("mount", How.NOTHING),
    166: Call("umount", How.PATH),
    188: Call("setxattr", How.PATH),
    189: Call("setxattr", How.PATH),
    190: Call("setxattr", How.FILE),
    235: Call("utimes", How.PATH),
    257: Call("open", How.PATH_AT, only=(2, _WRITING)),
    258: Call("mkdir", How.PATH_AT),
    259: Call("mknod", How.PATH_AT),
    260: Call("chown", How.PATH_AT),
    263: Call("unlink", How.PATH_AT),
    264: Call("rename", How.TWO_PATHS_AT),
    265: Call("link", How.TWO_PATHS_AT),
    266: Call("symlink", How.SYMLINK_AT),
    268: Call("chmod", How.PATH_AT),
    277: Call("sync", How.FILE),
    280: Call("utimes", How.PATH_AT),
    285: Call("allocate", How.FILE),
    288: Call("accept", How.SOCKET),
    296: Call("write", How.VECTOR),
    306: Call("sync", How.FILE),
    307: Call("write", How.SOCKET),
    316: Call("rename", How.TWO_PATHS_AT),
    326: Call("write", How.NOTHING),
    328: Call("write", How.VECTOR),
    # What these do is not seen call by call; nothing of ours may use them.
    425: Call("io_uring", How.NOTHING),
    437: Call("open", How.PATH_AT),
    452: Call("chmod", How.PATH_AT),
}

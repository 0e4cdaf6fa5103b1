"""Mounts a node's file system, and takes mounts away."""

import ctypes
import errno
import os
import threading
from functools import partial

from amdgpu_dra.api.errors import UsageError
from amdgpu_dra.edge.fakekernel.filesystem import FileSystem
from amdgpu_dra.edge.fakekernel.node import Node
from amdgpu_dra.edge.fakekernel.serving import serve_fuse

CONTROL = "control"
# A switch or a read of a mode keeps a thread of libfuse until it is done: enough for two on each of 16 GPUs.
_THREADS = 64
_FORCE, _DETACH = 1, 2


def mount(node: Node, folder: str) -> threading.Thread:
    """Mounts on a folder and returns when the kernel has taken it; the thread ends when the mount is gone.

    Raises:
        UsageError: something is mounted there.
        HostError: this machine or user cannot mount FUSE.
    """
    check_free(folder)
    return serve_fuse(partial(FileSystem, node), folder, "fakegpu", max_threads=_THREADS)


def check_free(folder: str) -> None:
    """Returns if nothing is mounted on a folder; a mount whose process is dead is taken away.

    Raises:
        UsageError: something is mounted there, and answers.
    """
    if unmount_stale(folder):
        return
    if os.path.ismount(folder):
        raise UsageError(
            f"--at: {folder}",
            expected="a folder on which nothing is mounted",
            found="a mount that answers",
            action="stop the fakegpu that runs there, or choose another folder",
        )


def unmount_stale(folder: str) -> bool:
    """Takes away a mount whose process is dead; whether there was one."""
    try:
        os.stat(folder)
    except OSError as error:
        if error.errno == errno.ENOTCONN:
            unmount(folder)
            return True
    return False


def unmount(folder: str) -> None:
    """Takes a mount away, also from under its users; requests under way end with ECONNABORTED.

    Raises:
        OSError: nothing is mounted there, or this user may not.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.umount2(os.fsencode(folder), _FORCE | _DETACH) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), folder)

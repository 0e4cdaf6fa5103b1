"""Mounts a node's file system, and takes mounts away."""

import ctypes
import errno
import os
import threading
from importlib import import_module
from typing import Any

from amdgpu_dra.api.errors import HostError, UsageError
from amdgpu_dra.edge.fakekernel.filesystem import FileSystem
from amdgpu_dra.edge.fakekernel.node import Node

CONTROL = "control"
_FUSE = "/dev/fuse"
# A switch or a read of a mode keeps a thread of libfuse until it is done: enough for two on each of 16 GPUs.
_THREADS = 64
_FORCE, _DETACH = 1, 2


def why_no_kernel() -> str:
    """Why this user cannot mount a fake kernel here; empty if it can."""
    if os.geteuid() != 0:
        return "mounting it needs root"
    if not os.access(_FUSE, os.R_OK | os.W_OK):
        return f"it needs FUSE, and {_FUSE} cannot be opened"
    return ""


def mount(node: Node, folder: str) -> threading.Thread:
    """Mounts on a folder and returns when the kernel has taken it; the thread ends when the mount is gone.

    Raises:
        UsageError: something is mounted there.
        HostError: this machine or user cannot mount FUSE.
    """
    check_free(folder)
    fuse = _library()
    ready = threading.Event()
    failed: list[BaseException] = []

    def serve() -> None:
        try:
            fuse.FUSE(
                FileSystem(node, ready.set),
                folder,
                foreground=True,
                fsname="fakegpu",
                allow_other=True,
                direct_io=True,
                attr_timeout=0,
                entry_timeout=0,
                negative_timeout=0,
                max_threads=_THREADS,
            )
        except (RuntimeError, OSError) as error:
            failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=serve, name="fuse", daemon=True)
    thread.start()
    ready.wait()
    if failed:
        raise HostError(
            f"FUSE mount {folder}",
            expected="libfuse to mount there",
            found=f"{failed[0]!r}; its own message stands above",
            action="run as root where mounting is allowed (a privileged container, or a namespace of your own)",
        )
    return thread


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


def _library() -> Any:
    if reason := why_no_kernel():
        raise HostError(
            _FUSE,
            expected="root, and the device of FUSE to read and write",
            found=f"{reason}; user {os.geteuid()}, " + ("the device" if os.path.exists(_FUSE) else "no such device"),
            action="run as root, load the fuse module, or use `fakegpu render` for a tree that cannot be written",
        )
    try:
        return import_module("mfusepy")
    except OSError as error:
        raise HostError(
            "FUSE_LIBRARY_PATH",
            expected="the path of libfuse3.so",
            found=str(error),
            action="set it to where libfuse 3 is, or install libfuse 3",
        ) from error


def unmount(folder: str) -> None:
    """Takes a mount away, also from under its users; requests under way end with ECONNABORTED.

    Raises:
        OSError: nothing is mounted there, or this user may not.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.umount2(os.fsencode(folder), _FORCE | _DETACH) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), folder)

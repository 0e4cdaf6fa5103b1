"""Serves a file system through libfuse in a thread of this process."""

import os
import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any

from amdgpu_dra.api.errors import HostError

FUSE = "/dev/fuse"


def why_no_kernel() -> str:
    """Why this user cannot mount a fake kernel here; empty if it can."""
    if os.geteuid() != 0:
        return "mounting it needs root"
    if not os.access(FUSE, os.R_OK | os.W_OK):
        return f"it needs FUSE, and {FUSE} cannot be opened"
    return ""


def serve_fuse(
    make: Callable[[Callable[[], None]], Any], folder: str, name: str, **options: bool | int
) -> threading.Thread:
    """Mounts on a folder and returns when the kernel has taken it; the thread ends when the mount is gone.

    Nothing is cached by the kernel: every call arrives.

    Args:
        make: the file system (its operations, as mfusepy calls them); it calls what it is given once it is mounted.
        folder: to mount it on.
        name: shown as the device of the mount.
        options: more of libfuse's.

    Raises:
        HostError: this machine or user cannot mount FUSE there.
    """
    fuse = _library()
    ready = threading.Event()
    failed: list[BaseException] = []

    def serve() -> None:
        try:
            fuse.FUSE(
                make(ready.set),
                folder,
                foreground=True,
                fsname=name,
                allow_other=True,
                direct_io=True,
                attr_timeout=0,
                entry_timeout=0,
                negative_timeout=0,
                **options,
            )
        except (RuntimeError, OSError) as error:
            failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=serve, name=name, daemon=True)
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


def _library() -> Any:
    if reason := why_no_kernel():
        raise HostError(
            FUSE,
            expected="root, and the device of FUSE to read and write",
            found=f"{reason}; user {os.geteuid()}, " + ("the device" if os.path.exists(FUSE) else "no such device"),
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

"""The one way in which we write a file: nobody ever sees half of it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from amdgpu_dra.api.errors import HostError

# Neither `.json` nor `.yaml`: a container runtime reads those, finished or not.
TEMPORARY = ".tmp"


def write_file(folder: str, name: str, data: bytes, *, durable: bool, done: str = "") -> None:
    """Puts `data` at `folder/name`: a temporary file, renamed.

    Args:
        folder: where.
        name: of the file.
        data: all that it shall hold.
        durable: the disk has file and name on return; else both outlive this process, and a power cut may tear them.
        done: a file beside it that goes when this one is there, if there is one.
    """
    temporary = f"{folder}/.{name}{TEMPORARY}"
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(handle, view) :]
            if durable:
                os.fsync(handle)
        finally:
            os.close(handle)
        os.rename(temporary, f"{folder}/{name}")
    except OSError:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    if done:
        remove_file(f"{folder}/{done}")
    if durable:
        sync_folder(folder)


def make_folder(folder: str, mode: int) -> None:
    """Makes a folder whose name the disk has on return, and the names of those above it.

    Also of those that are there already: a process that made them may have been killed before it synced them. Above the
    file system's own root, or where this process may not look, others have made them.
    """
    os.makedirs(folder, mode=mode, exist_ok=True)
    sync_folder(folder)
    device = os.stat(folder).st_dev
    while (above := os.path.dirname(folder)) != folder and os.stat(above).st_dev == device:
        try:
            sync_folder(above)
        except PermissionError:
            return
        folder = above


def sync_folder(folder: str) -> None:
    """Makes the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep_temporaries(folder: str, start: str, end: str, may: Callable[[str], bool]) -> None:
    """Removes what a killed process left half written of files `start` + WHAT + `end`, of which `may` is true of WHAT.

    Another process may be writing there: of what it works on, `may` has to be false.
    """
    start, end = f".{start}", f"{end}{TEMPORARY}"
    for name in os.listdir(folder):
        if name.startswith(start) and name.endswith(end) and may(name[len(start) : -len(end)]):
            with suppress(FileNotFoundError):
                os.unlink(f"{folder}/{name}")


def remove_file(path: str) -> None:
    """Removes a file, if it is there. A read-only file system refuses before it looks, so it is looked here."""
    try:
        os.unlink(path)
    except OSError:
        if os.path.lexists(path):
            raise


@contextmanager
def host_errors(where: str, expected: str) -> Iterator[None]:
    """Turns an OSError into a HostError that names the folder, and what to do."""
    try:
        yield
    except OSError as error:
        raise HostError(
            where,
            expected=expected,
            found=f"{error.strerror} ({error.filename})" if error.filename else error.strerror or str(error),
            action="free space, or make the folder writable for this process; nothing is lost, the kubelet tries again",
        ) from error

"""Writes the compute mode of a GPU, and finds the processes that stand in the way."""

import errno
import os
from collections.abc import Iterator
from contextlib import suppress

from amdgpu_dra.api.errors import HostError
from amdgpu_dra.core.gpu import PciAddress, paths
from amdgpu_dra.core.switch import KfdProcess, Outcome

_OUTCOMES = {
    errno.EBUSY: Outcome.BUSY,
    errno.EINVAL: Outcome.ILLEGAL,
    errno.EPERM: Outcome.RESETTING,
    errno.EIO: Outcome.FAILED,
    errno.EACCES: Outcome.DENIED,
    errno.EROFS: Outcome.DENIED,
    errno.ENOENT: Outcome.GONE,
    errno.ENODEV: Outcome.GONE,
}
# Inode of the node's first PID namespace (PROC_PID_INIT_INO, include/linux/proc_ns.h).
_FIRST_NAMESPACE = 0xEFFFFFFC
_SHORT = 64


class ModeFiles:
    """The mode files below a sysfs root, and the processes that KFD lists there.

    KFD names processes by their PID on the node. What `proc` says of such a number is true only if the plugin lives in
    the node's PID namespace too; elsewhere the number may be another's, and processes have no names.
    """

    def __init__(
        self, root: str, *, proc: str = "/proc", dev_root: str = "/dev", same_pids: bool | None = None
    ) -> None:
        """`same_pids`: whether PIDs below the root are those of `proc`; None to find it out."""
        self._root, self._proc = root.rstrip("/") or "/", proc
        self._kfd = f"{dev_root.rstrip('/')}/kfd"
        self._same_pids = _in_first_namespace(proc) if same_pids is None else same_pids

    def write_mode(self, address: PciAddress, mode: str) -> Outcome:
        """Writes the mode, and returns when the kernel is done: after a second, or many.

        Raises:
            HostError: the kernel answers what it is not known to answer.
        """
        path = f"{self._root}/{paths.PCI_DEVICES}/{address}/{paths.COMPUTE_MODE}"
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        except OSError as error:
            # EPERM has another sense here than for the write.
            return Outcome.DENIED if error.errno == errno.EPERM else _outcome(error, path)
        try:
            os.write(handle, f"{mode}\n".encode("ascii"))
        except OSError as error:
            return _outcome(error, path)
        finally:
            # The write has told everything; a file system may complain once more.
            with suppress(OSError):
                os.close(handle)
        return Outcome.DONE

    def find_processes(self) -> tuple[KfdProcess, ...]:
        """The processes that KFD lists, by PID. None if it lists none, or cannot be read."""
        found = []
        folder = f"{self._root}/{paths.PROCESSES}"
        for name in _names(folder):
            if name.isascii() and name.isdigit():
                files = _names(f"{folder}/{name}")
                ids = (
                    file.removeprefix(paths.PROCESS_MEMORY) for file in files if file.startswith(paths.PROCESS_MEMORY)
                )
                gpu_ids = frozenset(int(text) for text in ids if text.isascii() and text.isdigit())
                found.append(KfdProcess(pid=int(name), name=self._name(int(name)), gpu_ids=gpu_ids))
        return tuple(sorted(found, key=lambda process: process.pid))

    def find_openers(self) -> tuple[KfdProcess, ...]:
        """The processes that have `/dev/kfd` open, as far as `proc` shows them."""
        if not self._same_pids:
            return ()
        pids = sorted(int(name) for name in _names(self._proc) if name.isascii() and name.isdigit())
        return tuple(KfdProcess(pid=pid, name=self._name(pid)) for pid in pids if self._kfd in self._open_files(pid))

    def _open_files(self, pid: int) -> Iterator[str]:
        folder = f"{self._proc}/{pid}/fd"
        for name in _names(folder):
            with suppress(OSError):
                yield os.readlink(f"{folder}/{name}")

    def _name(self, pid: int) -> str:
        if not self._same_pids:
            return ""
        try:
            with open(f"{self._proc}/{pid}/comm", encoding="utf-8", errors="replace") as file:
                text = file.read(_SHORT).strip()
        except OSError:
            return ""
        return text if text.isprintable() else ""


def _outcome(error: OSError, path: str) -> Outcome:
    outcome = _OUTCOMES.get(error.errno or 0)
    if outcome is None:
        raise HostError(
            f"mode file {path}",
            expected="the mode to be written, or one of the errors that amdgpu has for it",
            found=f"{errno.errorcode.get(error.errno or 0, error.errno)}: {error.strerror}",
            action="it is tried again with the next attempt; if this lasts, look at dmesg and whether sysfs is mounted",
        ) from error
    return outcome


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _in_first_namespace(proc: str) -> bool:
    try:
        return os.stat(f"{proc}/self/ns/pid").st_ino == _FIRST_NAMESPACE
    except OSError:
        return False

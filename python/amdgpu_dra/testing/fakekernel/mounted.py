"""`Mounted`: a folder with a tree that a fake kernel's process mounts; and `mounted(fleet)`, the same for a test."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from ctypes import CDLL, get_errno
from functools import cache
from pathlib import Path
from unittest import SkipTest

from amdgpu_dra.api.errors import HostError
from amdgpu_dra.edge.fakekernel import CONTROL, Control, unmount, why_no_kernel

_RECURSIVE, _PRIVATE = 1 << 14, 1 << 18
_PATIENCE = 10.0


def need_fuse() -> None:
    """Skips the test, with the reason, where FUSE cannot be mounted; else mounts are private to this process from now.

    Its children see them, nobody else does, and they end with the last of these processes.
    """
    if reason := why_no_kernel():
        raise SkipTest(f"a fake kernel: {reason}")
    need_mounts()


def need_mounts() -> None:
    """Skips the test where nothing can be mounted; else mounts are private to this process from now, as above."""
    if reason := _leave_mounts():
        raise SkipTest(f"mounting needs namespaces: {reason}")


@cache
def _leave_mounts() -> str:
    """Once for a process: another set of mounts would hide those of before."""
    try:
        os.unshare(os.CLONE_NEWNS)
    except OSError as error:
        return str(error)
    if CDLL(None, use_errno=True).mount(b"none", b"/", None, _RECURSIVE | _PRIVATE, None) != 0:
        return os.strerror(get_errno())
    return ""


class Mounted:
    """The folder of one fake node: `sys` is mounted, `dev` holds the device nodes.

    Args:
        fleet: a bundled fleet, or a fleet file.
        at: a new folder.
        python: how Python is run, by default as here; `environment` likewise.
    """

    def __init__(
        self,
        fleet: str,
        at: Path,
        *,
        python: Sequence[str] = (sys.executable,),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.at, self._fleet = at, fleet
        self.sys, self.dev = at / "sys", at / "dev"
        self.control = Control(str(at / CONTROL))
        self._python = list(python)
        self._environment = environment or {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process: subprocess.Popen[str] | None = None

    def start(self, *flags: str) -> None:
        """Starts the kernel's process and returns when it is mounted. Raises HostError if it does not mount."""
        command = [
            *self._python,
            "-m",
            "amdgpu_dra.apps.fakegpu",
            "mount",
            f"--fleet={self._fleet}",
            f"--at={self.at}",
            *flags,
        ]
        process = subprocess.Popen(
            command, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._process = process
        assert process.stdout is not None
        said = ""
        while "control by" not in said and (line := process.stdout.readline()):
            said += line
        if "control by" not in said:
            self._reap()
            raise HostError(
                "fake kernel",
                expected="to mount",
                found=said.strip()[-500:],
                action="see docs/howto/fake-gpus.md, or leave --partitions=dynamic out",
            )

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ends the process and gives its status. After SIGKILL the dead mount stays."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._reap()

    def _reap(self, timeout: float | None = None) -> int:
        assert self._process is not None
        status = self._process.wait(timeout)
        if self._process.stdout is not None:
            self._process.stdout.close()
        return status

    def write_mode(self, gpu: str, mode: str) -> None:
        """Writes a GPU's compute mode; OSError as the kernel gives it."""
        (self.sys / "bus/pci/devices" / gpu / "current_compute_partition").write_text(f"{mode}\n")

    def close(self) -> None:
        """Ends the process, whatever it is at, and takes the mount away if it is still there."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._reap(_PATIENCE)
            except subprocess.TimeoutExpired:
                self.stop(signal.SIGKILL)
        try:
            unmount(str(self.sys))
        except OSError:
            return


@contextmanager
def mounted(fleet: str, *flags: str) -> Iterator[Mounted]:
    """A fleet, by name or path, under a fake kernel; skips the test where that cannot be. Its path is short."""
    need_fuse()
    with tempfile.TemporaryDirectory(prefix="amdgpu-", dir="/tmp") as folder:
        node = Mounted(fleet, Path(folder) / "node")
        try:
            node.start(*flags)
            yield node
        finally:
            node.close()

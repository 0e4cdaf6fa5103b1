"""`mounted(fleet)`: a folder with a mounted tree."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import CDLL, get_errno
from functools import cache
from pathlib import Path

import pytest

from amdgpu_dra.edge.fakekernel import CONTROL, Control, unmount

_RECURSIVE, _PRIVATE = 1 << 14, 1 << 18


def need_fuse() -> None:
    """Skips the test, with the reason, where FUSE cannot be mounted; else mounts are private to this process from now.

    Its children see them, nobody else does, and they end with the last of these processes.
    """
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("mounting needs FUSE: /dev/fuse cannot be opened")
    refusal = _leave_mounts()
    if refusal:
        pytest.skip(f"mounting needs namespaces: {refusal}")


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
    """The folder of one fake node: `sys` is mounted, `dev` holds the device nodes."""

    def __init__(self, fleet: str, at: Path) -> None:
        self.at, self._fleet = at, fleet
        self.sys, self.dev = at / "sys", at / "dev"
        self.control = Control(str(at / CONTROL))
        self._process: subprocess.Popen[str] | None = None

    def start(self, *flags: str) -> None:
        """Starts the kernel's process and returns when it is mounted."""
        command = [
            sys.executable,
            "-m",
            "amdgpu_dra.apps.fakegpu",
            "mount",
            f"--fleet={self._fleet}",
            f"--at={self.at}",
        ]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        process = subprocess.Popen([*command, *flags], env=environment, stdout=subprocess.PIPE, text=True)
        self._process = process
        assert process.stdout is not None
        line = process.stdout.readline()
        process.stdout.close()
        assert line, f"fakegpu mount ended with status {process.wait()}; what it said stands above"

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ends the process and gives its status. After SIGKILL the dead mount stays."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait()

    def write_mode(self, gpu: str, mode: str) -> None:
        """Writes a GPU's compute mode; OSError as the kernel gives it."""
        (self.sys / "bus/pci/devices" / gpu / "current_compute_partition").write_text(f"{mode}\n")

    def close(self) -> None:
        """Ends the process, and takes the mount away if it is still there."""
        if self._process is not None and self._process.poll() is None:
            self.stop()
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
        node.start(*flags)
        try:
            yield node
        finally:
            node.close()

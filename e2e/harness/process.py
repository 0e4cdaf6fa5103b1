"""Processes that outlive the one that started them: known by more than their id, and found again by their cgroup.

Knows /proc and version 1 cgroups. Refuses to know what the processes do.
"""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process of this boot; an id that was given to another process meanwhile is noticed.

    Attributes:
        start: when it started, in the kernel's ticks since the boot (proc_pid_stat(5), field 22).
        boot: the kernel's name of the boot.
    """

    pid: int
    start: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> "Process":
        """The one that has this id now. Raises OSError if there is none."""
        return cls(pid=pid, start=_read_start(pid), boot=_BOOT.read_text().strip())

    def is_alive(self) -> bool:
        """Whether it still runs; one that only waits for its parent does not."""
        try:
            state = _read_fields(self.pid)[0]
            return state not in "ZX" and Process.of(self.pid) == self
        except (OSError, IndexError):
            return False

    def kill(self) -> None:
        """Ends it, if it is alive."""
        if self.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """Namespaces that run: the process that holds them from outside, their first process, and their cgroup's name."""

    outer: Process
    inner: Process
    cgroup: str


def _read_fields(pid: int) -> list[str]:
    """The fields of a process's state, from the third on: the second, its name, may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _read_start(pid: int) -> int:
    return int(_read_fields(pid)[19])


def hierarchies() -> Sequence[Path]:
    """Mount points of version 1 cgroups."""
    rows = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    return sorted({Path(row[1]) for row in rows if row[2] == "cgroup"})


def make_cgroups(name: str) -> None:
    """A cgroup in every hierarchy; one of cpusets takes processes only once it has processors and memory."""
    for hierarchy in hierarchies():
        path = hierarchy / name
        path.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            if (hierarchy / setting).exists():
                (path / setting).write_text((hierarchy / setting).read_text())


def find_cgroups(name: str) -> list[Path]:
    """The folders of a cgroup and of those below it, in every hierarchy, innermost first."""
    return [folder for hierarchy in hierarchies() for folder in _innermost_first(hierarchy / name)]


def end_cgroups(name: str, seconds: float = 20) -> bool:
    """Ends every process of a cgroup and of those below it, and takes them away; whether nothing is left.

    Also what a killed process left: the name is all that has to be known.
    """
    deadline = time.monotonic() + seconds
    while folders := find_cgroups(name):
        for folder in folders:
            _end_members(folder)
            with suppress(OSError):
                folder.rmdir()
        if time.monotonic() > deadline:
            return False
        # The kernel needs a moment after the last process.
        time.sleep(0.02)
    return True


def _end_members(folder: Path) -> None:
    try:
        members = [int(line) for line in (folder / "cgroup.procs").read_text().split()]
    except OSError:
        return
    for pid in members:
        # 0: a process of another pid namespace, which ends with that.
        if pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _innermost_first(folder: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError):
        for child in list(folder.iterdir()):
            if child.is_dir():
                yield from _innermost_first(child)
        yield folder

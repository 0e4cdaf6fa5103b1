"""Where a cluster runs: in namespaces of its own with podman, made from the pieces of e2e/setup.

Knows processes, namespaces and cgroups. Refuses to know Kubernetes.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

_NAME = "amdgpu-dra-lab"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """What e2e/setup made; the last three only where there is no Docker.

    Attributes:
        provider: of kind's nodes, `docker` or `podman`.
        host: root with podman.
        node: node image as a tar.
    """

    provider: str
    kubernetes: str
    kind: str
    helm: str
    kubectl: str
    binaries: str = ""
    host: str = ""
    node: str = ""


def find_pieces() -> Pieces:
    """The pieces; skips the test, with the reason, where this machine cannot hold a cluster.

    Raises:
        FileNotFoundError: set-up has not run.
    """
    folder = Path(os.environ["AMDGPU_DRA_CACHE"]) / "e2e"
    if (folder / "unavailable").is_file():
        pytest.skip((folder / "unavailable").read_text().strip())
    current = folder / "current"
    if not current.is_file():
        raise FileNotFoundError(
            f"{current}: expected what e2e/setup writes, found nothing; run e2e/setup, or ./bazelw test"
        )
    return Pieces(**dict(line.split("=", 1) for line in current.read_text().splitlines()))


class Host(Protocol):
    """A place where commands run beside the cluster."""

    work: Path

    def run(self, *command: str, timeout: float = 60, text: str | None = None) -> str:
        """Runs a command; gives what it printed. Raises CommandError."""
        ...

    def in_network(self, *command: str) -> Sequence[str]:
        """What runs a program of this machine in the network of the cluster's nodes."""
        ...

    def stop(self) -> None:
        """Ends what it started."""
        ...


class CommandError(Exception):
    """A command failed; the message holds its end."""


def make_host(pieces: Pieces, work: Path) -> Host:
    """The place for a cluster of these pieces."""
    return DockerHost(work) if pieces.provider == "docker" else LabHost(pieces, work)


def _call(
    command: Sequence[str], name: str, seconds: float, text: str | None, environment: dict[str, str] | None
) -> str:
    """Runs a command; what it printed. Raises CommandError with the end of its output."""
    try:
        done = subprocess.run(
            command,
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"{name}: not done after {seconds} s: {error.stdout!r} {error.stderr!r}") from error
    if done.returncode != 0:
        raise CommandError(f"{name}: status {done.returncode}: {done.stdout[-3000:]} {done.stderr[-3000:]}")
    return done.stdout


class DockerHost:
    """This machine itself, where a Docker engine runs the nodes."""

    def __init__(self, work: Path) -> None:
        self.work = work

    def run(self, *command: str, timeout: float = 60, text: str | None = None) -> str:
        """Runs a command here."""
        environment = {**os.environ, "KUBECONFIG": str(self.work / "kubeconfig")}
        return _call(command, " ".join(command), timeout, text, environment)

    def in_network(self, *command: str) -> Sequence[str]:
        """The same: nodes reach this machine by their gateway."""
        return command

    def stop(self) -> None:
        """Nothing was started."""


class LabHost:
    """Mount, process, network, name and cgroup namespaces of their own, in which podman and kind run.

    Everything in it ends with it: its first process is killed by the kernel when this process dies.
    """

    def __init__(self, pieces: Pieces, work: Path) -> None:
        """Starts the lab; `work` is a folder that is seen inside at the same path."""
        self.work = work
        _sweep()
        self._cgroup = f"{_NAME}-{os.getpid()}"
        for hierarchy in _hierarchies():
            _make_cgroup(hierarchy / self._cgroup)
        ready = work / "ready"
        inside = Path(__file__).resolve().parent / "lab-inside.sh"
        joined = "; ".join(f"echo 0 > {h / self._cgroup / 'cgroup.procs'}" for h in _hierarchies())
        unshare = "unshare --mount --pid --net --uts --ipc --cgroup --fork --kill-child"
        binds = f"'{work}' '{Path(pieces.node).parent}'"
        self._log = (work / "lab.log").open("wb")
        self._outer = subprocess.Popen(
            [
                "setpriv",
                "--pdeathsig",
                "KILL",
                "bash",
                "-c",
                f"{joined}; exec {unshare} bash '{inside}' '{pieces.host}' '{ready}' {binds}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        try:
            self._inner = self._await_inner(ready)
        except CommandError:
            self._outer.kill()
            self._outer.wait()
            self._log.close()
            _remove_cgroups(self._cgroup)
            raise

    def _await_inner(self, ready: Path) -> int:
        deadline = time.monotonic() + 30
        while not ready.exists():
            if self._outer.poll() is not None or time.monotonic() > deadline:
                raise CommandError(f"the lab did not start: {(self.work / 'lab.log').read_text()[-2000:]}")
            time.sleep(0.05)
        children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children").read_text().split()
        return int(children[0])

    def run(self, *command: str, timeout: float = 60, text: str | None = None) -> str:
        """Runs a command inside."""
        joined = "; ".join(f"echo 0 > {h / self._cgroup / 'cgroup.procs'}" for h in _hierarchies())
        enter = [
            "nsenter",
            "-t",
            str(self._inner),
            "-m",
            "-n",
            "-p",
            "-u",
            "-i",
            "-C",
            "-r",
            "--wdns=/",
            "--",
            "env",
            "-i",
        ]
        environment = [
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME=/root",
            "TERM=dumb",
            "KIND_EXPERIMENTAL_PROVIDER=podman",
            "PODMAN_IGNORE_CGROUPSV1_WARNING=1",
            f"KUBECONFIG={self.work}/kubeconfig",
        ]
        inside = ["bash", "-c", f'{joined}; exec "$@"', "bash", *enter, *environment, *command]
        return _call(inside, " ".join(command), timeout, text, None)

    def in_network(self, *command: str) -> Sequence[str]:
        """The lab's network namespace alone; files are this machine's."""
        return ("nsenter", "-t", str(self._inner), "-n", "--", *command)

    def stop(self) -> None:
        """Ends every process inside, and takes the cgroups away."""
        for pid in (self._inner, self._outer.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._outer.wait()
        self._log.close()
        _remove_cgroups(self._cgroup)
        shutil.rmtree(self.work / "containers", ignore_errors=True)


def _hierarchies() -> Sequence[Path]:
    """Mount points of version 1 cgroups."""
    rows = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    return sorted({Path(row[1]) for row in rows if row[2] == "cgroup"})


def _make_cgroup(path: Path) -> None:
    """A cgroup; one of cpusets takes processes only once it has processors and memory."""
    path.mkdir(exist_ok=True)
    for name in ("cpuset.cpus", "cpuset.mems"):
        if (path.parent / name).exists():
            (path / name).write_text((path.parent / name).read_text())


def _remove_cgroups(name: str) -> None:
    """Takes a lab's cgroups away, innermost first; the kernel needs a moment after the last process."""
    deadline = time.monotonic() + 10
    for hierarchy in _hierarchies():
        for folder in _innermost_first(hierarchy / name):
            while time.monotonic() < deadline:
                try:
                    folder.rmdir()
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.05)


def _innermost_first(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        for child in folder.iterdir():
            if child.is_dir():
                yield from _innermost_first(child)
        yield folder


def _sweep() -> None:
    """Takes away the cgroups of labs whose process is gone."""
    for hierarchy in _hierarchies():
        for folder in hierarchy.glob(f"{_NAME}-*"):
            if not Path(f"/proc/{folder.name.rsplit('-', 1)[1]}").exists():
                _remove_cgroups(folder.name)

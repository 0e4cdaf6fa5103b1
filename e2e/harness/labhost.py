"""A place of its own for a cluster: namespaces in which podman and kind run.

Knows namespaces and cgroups. Refuses to know Kubernetes.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from harness.host import CommandError, Pieces, call
from harness.process import Lab, Process, end_cgroups, hierarchies, make_cgroups

_NAME = "amdgpu-dra-lab"
_ENVIRONMENT = (
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/root",
    "TERM=dumb",
    "KIND_EXPERIMENTAL_PROVIDER=podman",
    "PODMAN_IGNORE_CGROUPSV1_WARNING=1",
)


class LabHost:
    """Mount, process, network, name and cgroup namespaces in which podman and kind run. All of it ends with them."""

    def __init__(self, work: Path, root: Path, lab: Lab) -> None:
        """A lab that runs: started by `start_lab`, here or by another process.

        Args:
            work: a folder that is seen inside at the same path.
            root: with podman.
            lab: its processes.
        """
        self.work, self._root = work, root
        self.lab: Lab | None = lab
        self._inner, self._cgroup = lab.inner.pid, lab.cgroup
        self._outer: subprocess.Popen[bytes] | None = None

    def run(self, *command: str, timeout: float = 60, text: str | None = None) -> str:
        """Runs a command inside."""
        return call(self.inside(*command), " ".join(command), timeout, text, None)

    def inside(self, *command: str) -> Sequence[str]:
        """What runs a command inside: in every namespace, in the lab's cgroup, with nothing of the environment here."""
        namespaces = ("-m", "-n", "-p", "-u", "-i", "-C", "-r", "--wdns=/")
        enter = ["nsenter", "-t", str(self._inner), *namespaces, "--", "env", "-i"]
        environment = [*_ENVIRONMENT, f"KUBECONFIG={self.work}/kubeconfig"]
        return ["bash", "-c", f'{_join(self._cgroup)}; exec "$@"', "bash", *enter, *environment, *command]

    def in_network(self, *command: str) -> Sequence[str]:
        """The lab's network namespace alone; files are this machine's."""
        return ("nsenter", "-t", str(self._inner), "-n", "--", *command)

    def own(self, outer: subprocess.Popen[bytes]) -> None:
        """The process that holds the lab is a child of this one, which has to wait for its end."""
        self._outer = outer

    def stop(self) -> None:
        """Ends every process inside, and takes the cgroups and podman's images and containers away."""
        if self.lab is not None:
            self.lab.inner.kill()
            self.lab.outer.kill()
        if self._outer is not None:
            self._outer.wait()
        clear_lab(self.work, self._root, self._cgroup)


def start_lab(pieces: Pieces, work: Path, *, kept: str = "") -> LabHost:
    """Starts a lab; `work` is a folder that is seen inside at the same path.

    Args:
        pieces: with a root and a node image.
        work: on this machine; podman keeps its images and containers there.
        kept: the name of its cgroup, if it shall outlive this process; it ends with this process otherwise.

    Raises:
        CommandError: it did not start; nothing of it is left.
    """
    _sweep()
    cgroup = kept or f"{_NAME}-{os.getpid()}"
    make_cgroups(cgroup)
    ready = work / "ready"
    ready.unlink(missing_ok=True)
    inside = Path(__file__).resolve().parent / "lab-inside.sh"
    unshare = "unshare --mount --pid --net --uts --ipc --cgroup --fork --kill-child"
    binds = f"'{work}' '{Path(pieces.node).parent}'"
    script = f"{_join(cgroup)}; exec {unshare} bash '{inside}' '{pieces.host}' '{ready}' {binds}"
    dies_with_us = () if kept else ("setpriv", "--pdeathsig", "KILL")
    with (work / "lab.log").open("wb") as log:
        outer = subprocess.Popen(
            [*dies_with_us, "bash", "-c", script],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=bool(kept),
        )
    try:
        _await_ready(outer, ready, work / "lab.log")
        children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
        lab = Lab(outer=Process.of(outer.pid), inner=Process.of(int(children[0])), cgroup=cgroup)
    except BaseException:
        outer.kill()
        outer.wait()
        clear_lab(work, Path(pieces.host), cgroup)
        raise
    host = LabHost(work, Path(pieces.host), lab)
    host.own(outer)
    return host


def _await_ready(outer: subprocess.Popen[bytes], ready: Path, log: Path) -> None:
    deadline = time.monotonic() + 30
    while not ready.exists():
        if outer.poll() is not None or time.monotonic() > deadline:
            raise CommandError(f"the lab did not start: {log.read_text()[-2000:]}")
        time.sleep(0.05)


def clear_lab(work: Path, root: Path, cgroup: str) -> None:
    """Takes away all of a lab but for the folder `work`, whatever of it is there.

    Raises:
        CommandError: something stays; says what.
    """
    if not end_cgroups(cgroup):
        raise CommandError(f"the processes of cgroup {cgroup} do not end: see cgroup.procs below {hierarchies()[0]}")
    # Mounts went with the last process; the kernel needs a moment for it, and a busy disk for that many files.
    deadline = time.monotonic() + 10
    while (work / "containers").exists():
        shutil.rmtree(work / "containers", ignore_errors=True)
        if time.monotonic() > deadline and (work / "containers").exists():
            raise CommandError(f"{work}/containers cannot be removed: is something mounted there?")
    # Where it was seen inside.
    if root != Path("/"):
        with suppress(OSError):
            (root / work.relative_to("/")).rmdir()
            (root / work.parent.relative_to("/")).rmdir()


def _join(cgroup: str) -> str:
    """Brings a shell into the cgroup of every hierarchy."""
    return "; ".join(f"echo 0 > {hierarchy / cgroup / 'cgroup.procs'}" for hierarchy in hierarchies())


def _sweep() -> None:
    """Takes away the cgroups of labs that had to end with a process that is gone."""
    names = {folder.name for hierarchy in hierarchies() for folder in hierarchy.glob(f"{_NAME}-*")}
    for name in names:
        if not Path(f"/proc/{name.rpartition('-')[2]}").exists():
            end_cgroups(name, seconds=10)

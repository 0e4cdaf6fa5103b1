"""The ways to a cluster: kind with Docker, kind with podman, and a cluster that KUBECONFIG names.

A way says what this machine lacks for it, gives the place where the cluster's commands run, finds it again, and takes
it away. All that follows once there is a host is the same for every way.
"""

import hashlib
import json
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, override

from amdgpu_dra.api.errors import UsageError
from harness.host import KUBECONFIG_WAY, CommandError, Host, MachineHost, Pieces, call
from harness.labhost import LabHost, clear_lab, start_lab
from harness.process import Lab, find_cgroups, hierarchies


@dataclass(frozen=True)
class Way(ABC):
    """A way to a cluster, with the pieces for it."""

    pieces: Pieces
    title: ClassVar[str]

    @abstractmethod
    def check(self, name: str) -> None:
        """Raises UsageError where this machine lacks something for it, or has a cluster of this name."""

    @abstractmethod
    def start(self, work: Path, *, kept: bool) -> Host:
        """A host for a new cluster; it ends with this process unless it is `kept`."""

    @abstractmethod
    def attach(self, work: Path, lab: Lab | None) -> Host:
        """The host that was kept. Raises UsageError if it is gone."""

    @abstractmethod
    def clear(self, name: str, work: Path) -> None:
        """Takes away what was started or half started, but for the folder `work`. Raises CommandError."""


def way_of(pieces: Pieces) -> Way:
    """The way that these pieces are for."""
    ways: dict[str, Callable[[Pieces], Way]] = {
        "docker": DockerWay,
        "podman": PodmanWay,
        KUBECONFIG_WAY: KubeconfigWay,
    }
    return ways[pieces.provider](pieces)


def _check_programs(programs: Sequence[str]) -> None:
    for program in programs:
        if not os.access(program, os.X_OK):
            raise UsageError(
                program,
                expected="a program that e2e/setup made",
                found="nothing that can be run",
                action="run e2e/setup, which makes what is missing",
            )


class DockerWay(Way):
    """kind with a Docker engine, which runs the published node image."""

    title = "kind with Docker"

    @override
    def check(self, name: str) -> None:
        """The engine has to answer, and to know no cluster of this name."""
        if shutil.which("docker") is None:
            raise UsageError(
                "Docker",
                expected="a program docker on PATH",
                found=f"none in {os.environ.get('PATH', '')}",
                action="install Docker, or take a cluster that is there: --way=kubeconfig",
            )
        try:
            call(("docker", "info"), "docker info", 30, None, None)
        except CommandError as error:
            raise UsageError(
                "Docker",
                expected="an engine that answers `docker info`",
                found=str(error),
                action="start it, or get the right to use it, or take a cluster that is there: --way=kubeconfig",
            ) from error
        _check_programs((self.pieces.kind, self.pieces.helm, self.pieces.kubectl))
        if name in call((self.pieces.kind, "get", "clusters"), "kind get clusters", 60, None, None).split():
            raise UsageError(
                f"cluster {name}",
                expected="no kind cluster of this name",
                found="one that was made by something else",
                action=f"choose another --name, or run: kind delete cluster --name {name}",
            )

    @override
    def start(self, work: Path, *, kept: bool) -> Host:
        """This machine; kind makes the nodes."""
        return MachineHost(work)

    @override
    def attach(self, work: Path, lab: Lab | None) -> Host:
        """The same."""
        return MachineHost(work)

    @override
    def clear(self, name: str, work: Path) -> None:
        """Also half made ones: kind finds nodes by a label."""
        MachineHost(work).run(self.pieces.kind, "delete", "cluster", "--name", name, timeout=120)


class PodmanWay(Way):
    """kind with podman and a node image that was made here, in namespaces of its own."""

    title = "kind with podman, in namespaces of its own"

    @override
    def check(self, name: str) -> None:
        """Every piece has to be there, and the cgroups that the node image is made for."""
        _check_programs((self.pieces.kind, self.pieces.helm, self.pieces.kubectl, f"{self.pieces.host}/usr/bin/podman"))
        if not Path(self.pieces.node).is_file():
            raise UsageError(
                self.pieces.node,
                expected="the node image that e2e/setup made",
                found="nothing",
                action="run e2e/setup, which makes it",
            )
        if not hierarchies():
            raise UsageError(
                "/proc/mounts",
                expected="cgroups of version 1, in which the first process of our node image works",
                found="none of them, as on a machine with version 2 alone",
                action="install Docker, or take a cluster that is there: --way=kubeconfig",
            )

    @override
    def start(self, work: Path, *, kept: bool) -> Host:
        """New namespaces."""
        return start_lab(self.pieces, work, kept=lab_name(work) if kept else "")

    @override
    def attach(self, work: Path, lab: Lab | None) -> Host:
        """The namespaces that run."""
        if lab is None or not lab.inner.is_alive():
            raise UsageError(
                f"cluster {work.name}",
                expected=f"process {lab.inner.pid if lab else '?'}, in which it runs",
                found="it has ended, as after a restart of the machine",
                action="take away what is left by ./bazelw run //e2e/kind:delete, and create it anew",
            )
        return LabHost(work, Path(self.pieces.host), lab)

    @override
    def clear(self, name: str, work: Path) -> None:
        """Everything is found by the name of its cgroup."""
        clear_lab(work, Path(self.pieces.host), lab_name(work))


def lab_name(work: Path) -> str:
    """The cgroup of a lab that outlives its command: of its folder, so that no state has to be known."""
    return f"amdgpu-dra-kind-{work.name}-{hashlib.sha256(bytes(work)).hexdigest()[:8]}"


def is_lab_left(work: Path) -> bool:
    """Whether anything of a lab of this folder is there."""
    return bool(find_cgroups(lab_name(work)))


class KubeconfigWay(Way):
    """A cluster that is there; nothing of it is made here. A copy of its credentials is kept until `delete`."""

    title = "the cluster that KUBECONFIG names"

    @override
    def check(self, name: str) -> None:
        """KUBECONFIG has to name files that are there."""
        _check_programs((self.pieces.helm, self.pieces.kubectl))
        given = _kubeconfig_files()
        missing = [str(path) for path in given if not path.is_file()]
        if not given or missing:
            raise UsageError(
                "KUBECONFIG",
                expected="the path of a kubeconfig",
                found=f"no file {', '.join(missing)}" if missing else "no such variable",
                action="export KUBECONFIG with the path of a file that names your cluster, such as ~/.kube/config",
            )

    @override
    def start(self, work: Path, *, kept: bool) -> Host:
        """This machine, with the current context of the given files, and what they refer to, as one file."""
        environment = {**os.environ, "KUBECONFIG": os.pathsep.join(str(path) for path in _kubeconfig_files())}
        view = (self.pieces.kubectl, "config", "view", "--flatten", "--minify", "-o", "json")
        try:
            text = call(view, "kubectl config view", 30, None, environment)
        except CommandError as error:
            raise _names_nothing(str(error)) from error
        found: dict[str, Any] = json.loads(text)
        if not found.get("clusters"):
            raise _names_nothing(f"context {found.get('current-context')!r} with no cluster")
        kubeconfig = work / "kubeconfig"
        kubeconfig.touch(mode=0o600)
        kubeconfig.write_text(text)
        return MachineHost(work)

    @override
    def attach(self, work: Path, lab: Lab | None) -> Host:
        """This machine, with the file that was kept."""
        return MachineHost(work)

    @override
    def clear(self, name: str, work: Path) -> None:
        """Nothing was started."""


def _names_nothing(found: str) -> UsageError:
    return UsageError(
        "KUBECONFIG",
        expected="a kubeconfig whose current context names a cluster",
        found=found,
        action="choose one by `kubectl config use-context`, or name another file",
    )


def _kubeconfig_files() -> list[Path]:
    """The files that KUBECONFIG names, seen from where the user called."""
    folder = Path(os.environ.get("BUILD_WORKING_DIRECTORY", Path.cwd()))
    return [folder / part for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]

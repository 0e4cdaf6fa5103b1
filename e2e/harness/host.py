"""Where the commands of a cluster run, and the pieces that e2e/setup made for it.

Knows processes. Refuses to know Kubernetes.
"""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import pytest

from amdgpu_dra.api.errors import UsageError
from harness.process import Lab

KUBECONFIG_WAY = "kubeconfig"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """What e2e/setup made.

    Attributes:
        provider: of kind's nodes, `docker` or `podman`; `kubeconfig` where there is no kind, only helm and kubectl.
        kubernetes: the version of kind's nodes.
        host: root with podman; like the two after it only where the provider is podman.
        node: node image as a tar.
    """

    provider: str
    helm: str
    kubectl: str
    kubernetes: str = ""
    kind: str = ""
    binaries: str = ""
    host: str = ""
    node: str = ""


def cache_folder() -> Path:
    """Where everything is kept that is made once; bazelw names it."""
    given = os.environ.get("AMDGPU_DRA_CACHE")
    return Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "amdgpu-dra"


def find_pieces() -> Pieces:
    """The pieces of a test; skips it, with the reason, where this machine cannot hold a cluster.

    Raises:
        UsageError: set-up has not run.
    """
    if reason := _why_unavailable():
        pytest.skip(reason)
    return _read_pieces("current")


def choose_pieces(way: str) -> Pieces:
    """The pieces of a way to a cluster, `docker`, `podman` or `kubeconfig`; of the one that this machine has if empty.

    Raises:
        UsageError: this machine has not got that way; says what it has.
    """
    folder = cache_folder() / "e2e"
    if way == KUBECONFIG_WAY:
        # Set-up made these two alone, or more than these.
        pieces = _read_pieces("client" if (folder / "client").is_file() else "current")
        return replace(pieces, provider=KUBECONFIG_WAY)
    if reason := _why_unavailable():
        raise UsageError(
            "kind",
            expected="Docker, or root with namespaces for podman",
            found=reason,
            action="install Docker, or take a cluster that is there: --way=kubeconfig",
        )
    pieces = _read_pieces("current")
    if way and way != pieces.provider:
        raise UsageError(
            f"--way={way}",
            expected="what this machine was set up for: a Docker engine that answers, or else podman",
            found=pieces.provider,
            action="start Docker, or stop it for podman, and call this once more; or leave --way out",
        )
    return pieces


def _why_unavailable() -> str:
    note = cache_folder() / "e2e" / "unavailable"
    return note.read_text().strip() if note.is_file() else ""


def _read_pieces(name: str) -> Pieces:
    path = cache_folder() / "e2e" / name
    if not path.is_file():
        raise UsageError(
            str(path),
            expected="what e2e/setup writes",
            found="nothing",
            action="call this through ./bazelw, which runs it, or run e2e/setup",
        )
    return Pieces(**dict(line.split("=", 1) for line in path.read_text().splitlines()))


class Host(Protocol):
    """A place where commands run beside the cluster; `work` is a folder of it, `lab` what it started and keeps."""

    work: Path
    lab: Lab | None

    def run(self, *command: str, timeout: float = 60, text: str | None = None) -> str:
        """Runs a command; gives what it printed. Raises CommandError."""
        ...

    def in_network(self, *command: str) -> Sequence[str]:
        """What runs a program of this machine in the network of the cluster's nodes."""
        ...

    def inside(self, *command: str) -> Sequence[str]:
        """What runs a command in this place with the caller's input and output."""
        ...

    def stop(self) -> None:
        """Ends what it started."""
        ...


class CommandError(Exception):
    """A command failed; the message holds its end."""


def call(
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
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}: {error.filename}") from error
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"{name}: not done after {seconds} s: {error.stdout!r} {error.stderr!r}") from error
    if done.returncode != 0:
        raise CommandError(f"{name}: status {done.returncode}: {done.stdout[-3000:]} {done.stderr[-3000:]}")
    return done.stdout


class MachineHost:
    """This machine itself: a Docker engine of it runs the nodes, or it reaches a cluster that is elsewhere."""

    lab: Lab | None = None

    def __init__(self, work: Path) -> None:
        self.work = work

    def run(self, *command: str, timeout: float = 60, text: str | None = None) -> str:
        """Runs a command here."""
        environment = {**os.environ, "KUBECONFIG": str(self.work / "kubeconfig")}
        return call(command, " ".join(command), timeout, text, environment)

    def in_network(self, *command: str) -> Sequence[str]:
        """The same: nodes reach this machine by their gateway."""
        return command

    def inside(self, *command: str) -> Sequence[str]:
        """The same, with the cluster's kubeconfig."""
        return ("env", f"KUBECONFIG={self.work}/kubeconfig", *command)

    def stop(self) -> None:
        """Nothing was started."""

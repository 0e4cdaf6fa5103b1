"""What git says of a checkout."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from amdgpu_dra.api.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """A checkout and its commit.

    Attributes:
        described: by `git describe`, see core/release.
        revision: the commit.
        time: of the commit, as RFC 3339 in UTC.
        changed: files that differ from the commit, or that it lacks.
    """

    described: str
    revision: str
    time: str
    changed: tuple[str, ...]


def look_at(folder: Path) -> Checkout:
    """The checkout in a folder.

    Raises:
        UsageError: it is none, or git is absent.
    """
    # Files may belong to somebody else than who releases; what is there is only read.
    command = ["git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-C", str(folder)]

    def ask(*arguments: str) -> str:
        return _run([*command, *arguments], folder)

    described = ask("describe", "--tags", "--match", "v[0-9]*", "--long", "--always", "--dirty")
    changed = tuple(line[3:] for line in ask("status", "--porcelain").splitlines())
    if changed and not described.endswith("-dirty"):
        described += "-dirty"  # git describe does not look at new files
    return Checkout(
        described=described,
        revision=ask("rev-parse", "HEAD"),
        time=ask(
            "-c", "log.showSignature=false", "log", "-1", "--format=%cd", "--date=format-local:%Y-%m-%dT%H:%M:%SZ"
        ),
        changed=changed,
    )


def _run(command: list[str], folder: Path) -> str:
    where = f"checkout {folder}"
    try:
        done = subprocess.run(  # noqa: S603 - git, with arguments of ours
            command,
            capture_output=True,
            text=True,
            check=False,
            env={"TZ": "UTC", "PATH": "/usr/bin:/bin", "HOME": "/"},
        )
    except FileNotFoundError as error:
        raise UsageError(where, expected="git", found="no such program", action="install git") from error
    if done.returncode != 0:
        raise UsageError(
            where, expected="a git checkout with a commit", found=done.stderr.strip(), action="release from a clone"
        )
    return done.stdout.rstrip("\n")

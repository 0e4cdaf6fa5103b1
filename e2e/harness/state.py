"""What is kept of a cluster between commands: one small file, and the folder around it.

Knows the file's form and who works with it now. Refuses to know what a cluster is.
"""

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from amdgpu_dra.api.errors import UsageError, shorten
from harness.host import Pieces, cache_folder
from harness.process import Lab, Process

_FILE, _VERSION = "state.json", 1
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What `install` did.

    Attributes:
        fleet: whose GPUs are faked; empty: the nodes have their own.
        kernel: whether the fake kernel stands in for them, and not a tree of files.
        namespaces: those that were made for it.
        image: repository and tag of the plugin.
        done: whether it came to its end.
    """

    fleet: str
    kernel: bool
    namespaces: tuple[str, ...]
    image: str
    done: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A cluster, made or being made.

    Attributes:
        way: `docker`, `podman` or `kubeconfig`.
        ready: whether `create` came to its end.
        fleet: whose tree the nodes were given; empty if none was.
        lab: the namespaces in which it runs, if it does so.
        images: archives that were loaded into its nodes.
    """

    name: str
    way: str
    ready: bool
    pieces: Pieces
    fleet: str = ""
    lab: Lab | None = None
    images: tuple[str, ...] = ()
    installation: Installation | None = None


class StateError(Exception):
    """The file cannot be understood; the message says where."""


def encode(state: State) -> str:
    """The file's text."""
    return json.dumps({"version": _VERSION, **asdict(state)}, indent=1) + "\n"


def decode(text: str) -> State:
    """The state of a file's text.

    Raises:
        StateError: not the form of this version; every part is checked.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StateError(f"no JSON: {error}") from error
    if not isinstance(found, dict) or found.pop("version", None) != _VERSION:
        raise StateError(f"version: expected {_VERSION}")
    parts = {"pieces": Pieces, "lab": Lab, "installation": Installation}
    for name, kind in parts.items():
        if found.get(name) is not None:
            found[name] = _typed(kind, found[name], name)
    state: State = _typed(State, found, "state")
    return state


def _typed(kind: type[Any], found: object, where: str) -> Any:
    """A value of one of our types. Raises StateError where a field is missing, unknown or of another type."""
    if not isinstance(found, Mapping):
        raise StateError(f"{where}: expected an object, found {shorten(found)}")
    values = {}
    names = {field.name: field.type for field in fields(kind)}
    for name, value in found.items():
        if name not in names:
            raise StateError(f"{where}.{name}: expected no such field")
        values[name] = _value(names[name], value, f"{where}.{name}")
    try:
        return kind(**values)
    except TypeError as error:
        raise StateError(f"{where}: {error}") from error


def _value(kind: object, value: Any, where: str) -> Any:
    if kind is Process:
        return _typed(Process, value, where)
    if kind == tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise StateError(f"{where}: expected a list of texts, found {shorten(value)}")
        return tuple(value)
    # bool is an int to isinstance.
    if isinstance(kind, type) and type(value) is not kind:
        raise StateError(f"{where}: expected {kind.__name__}, found {shorten(value)}")
    if not isinstance(kind, type) and not isinstance(value, kind):  # type: ignore[arg-type]
        raise StateError(f"{where}: found {shorten(value)}")
    return value


def clusters_folder() -> Path:
    """Where the folders of all clusters lie."""
    return cache_folder() / "kind"


class Place:
    """The folder of one cluster: its state file, kubeconfig, trees, and what its containers keep."""

    def __init__(self, name: str) -> None:
        """The folder need not be there. Raises UsageError for what is no name."""
        if not _NAME.fullmatch(name):
            raise UsageError(
                "--name",
                expected="at most 30 small letters, digits and dashes, no dash at an end",
                found=shorten(name),
                action="choose another name",
            )
        self.name, self.folder = name, clusters_folder() / name

    def read(self) -> State | None:
        """What is kept; None if there is no file. Raises StateError."""
        try:
            text = (self.folder / _FILE).read_text()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise StateError(str(error)) from error
        return decode(text)

    def write(self, state: State) -> None:
        """Keeps a state: nobody ever sees half of one."""
        temporary = self.folder / f".{_FILE}.tmp"
        temporary.write_text(encode(state))
        temporary.replace(self.folder / _FILE)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """The folder is there, and no other command works with it.

        Raises:
            UsageError: another command does.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if not _lock(handle, self.folder):
                raise UsageError(
                    f"cluster {self.name}",
                    expected="no other command that works with it",
                    found=f"one that holds {self.folder}",
                    action="wait for its end, or take another --name",
                )
            yield
        finally:
            # A folder with nothing in it is one that only this made.
            if self.folder.is_dir() and not any(self.folder.iterdir()):
                self.folder.rmdir()
            with suppress(OSError):
                self.folder.parent.rmdir()
            os.close(handle)

    def remove(self) -> None:
        """Takes the folder away, the file last: until then `delete` finds what is left."""
        for path in [*self.folder.iterdir()]:
            if path.name != _FILE:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
        shutil.rmtree(self.folder)


def _lock(handle: int, folder: Path) -> bool:
    """Whether the folder is ours now, and still the one that lies at its path."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.fstat(handle).st_ino == folder.stat().st_ino
    except (BlockingIOError, FileNotFoundError):
        return False


def list_places() -> list[str]:
    """Names of the clusters that there are."""
    folder = clusters_folder()
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []

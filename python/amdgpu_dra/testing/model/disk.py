"""The disk's side: the real store and the real folder, each call of which may fail, or be the last of its process.

On an ordinary disk a call fails as a whole, before or after its effect. On a `CutMount` it is the system calls that
fail, a killed process stops between two of them, and at a power cut what was not synced is lost in part.
"""

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from amdgpu_dra.api.checkpoint import Loaded, Record
from amdgpu_dra.api.errors import HostError
from amdgpu_dra.apps.kubelet_plugin.main import VERSION
from amdgpu_dra.edge.disk import CdiDirectory, InstanceFile, RecordFiles
from amdgpu_dra.testing.cutfs import CutMount, Fault
from amdgpu_dra.testing.model.forms import with_additions
from amdgpu_dra.testing.model.loop import Killed, StepLoop


@dataclass(frozen=True, slots=True, kw_only=True)
class Sickness:
    """What is wrong with a disk.

    Attributes:
        errno: of every change.
        late: on an ordinary disk a change is made all the same, and only then fails, as when the last fsync does.
        reads: reading fails as well.
        verbs: on a mount, the system calls that fail; all of them if there is none.
        times: on a mount, how many of them fail; None for all.
    """

    errno: int
    late: bool = False
    reads: bool = False
    verbs: tuple[str, ...] = ()
    times: int | None = None


_CHANGES = ("create", "mkdir", "write", "truncate", "sync", "rename", "unlink")


class Disk:
    """Two folders, and what is wrong with their file systems.

    Attributes:
        folder: where the plugin's own files are; `records` and `cdi` are below it.
        sick: what is wrong; None if nothing is.
        half: after how many more system calls a process dies that is killed in a write; on an ordinary disk it leaves
            half a file behind. 0: before the write.
    """

    def __init__(self, folder: Path, mount: CutMount | None = None) -> None:
        self.folder, self.records, self.cdi = folder, folder / "claims", folder / "cdi"
        self._mount = mount
        self.sick: Sickness | None = None
        self.half = 0

    def fall_sick(self, sick: Sickness | None) -> None:
        """From now on this is wrong with it; None: it is well again."""
        self.sick = sick
        if self._mount is not None:
            self._mount.disk.faults = [] if sick is None else list(_faults(sick))

    def check(self, where: str, *, change: bool = True) -> None:
        """Raises HostError as the edge does, if the disk is not well and cannot say so by itself."""
        if self._mount is None and self.sick is not None and (change or self.sick.reads):
            text = os.strerror(self.sick.errno)
            raise HostError(where, expected="a disk", found=text, action=errno.errorcode[self.sick.errno])

    def read(self, path: Path) -> bytes | None:
        """The bytes of a file as they are, whatever is wrong; None if there is no file."""
        if self._mount is not None:
            return self._mount.disk.tree().get(f"/{path.relative_to(self._mount.path)}")
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None

    @contextmanager
    def by_hand(self) -> Iterator[None]:
        """Inside, somebody else changes files: nothing fails, and everything is durable."""
        sick = self.sick
        self.fall_sick(None)
        try:
            yield
        finally:
            self.cut([True])
            self.fall_sick(sick)

    def cut(self, kept: list[bool]) -> None:
        """Power off and on: of what was not synced that stays for which `kept`, over and over, says so."""
        if self._mount is not None:
            self._mount.disk.cut(islice(cycle(kept or [True]), self._mount.disk.unsynced))

    def tear(self, change: Callable[[], object], half: Path | None) -> None:
        """The process was killed when it was about to make a change."""
        if not self.half:
            return
        if self._mount is not None:
            self._mount.disk.halt_after(self.half)
            # The first call that finds the disk halted is one that a killed process does not make.
            with suppress(HostError, OSError):
                change()
            self._mount.disk.resume()
        elif half is not None and half.parent.is_dir():
            half.write_bytes(b'{"half')


def _faults(sick: Sickness) -> Iterator[Fault]:
    yield Fault(errno=sick.errno, verbs=frozenset(sick.verbs or _CHANGES), times=sick.times)
    if sick.reads:
        # All of them: a file that cannot be read, among others that can, is a lost record.
        yield Fault(errno=sick.errno, verbs=frozenset({"find"}))


class Instance(InstanceFile):
    """The file of one process, which does nothing more once that is dead, and frees its locks when it is closed."""

    dead = False

    def _set(self, kind: int, byte: int) -> bool:
        return not self.dead and super()._set(kind, byte)

    def _count(self) -> None:
        if not self.dead:
            super()._count()


class _Port:
    def __init__(self, loop: StepLoop, disk: Disk, is_dead: Callable[[], bool]) -> None:
        self._loop, self._disk, self._is_dead = loop, disk, is_dead

    def _read[T](self, label: str, call: Callable[[], T]) -> T:
        if self._is_dead():
            raise Killed
        self._loop.park(label)
        self._disk.check(label, change=False)
        return call()

    def _change[T](self, label: str, call: Callable[[], T], half: Path | None = None) -> T:
        if self._is_dead():
            raise Killed
        try:
            self._loop.park(label)
        except Killed:
            self._disk.tear(call, half)
            raise
        if self._disk.sick is None or not self._disk.sick.late:
            self._disk.check(label)
        done = call()
        self._disk.check(label)
        return done


class Records(_Port):
    """Fulfils `RecordStore`. `adds`: as a newer driver, which has added fields to records."""

    def __init__(self, loop: StepLoop, disk: Disk, is_dead: Callable[[], bool], *, adds: bool) -> None:
        super().__init__(loop, disk, is_dead)
        self._inner = RecordFiles(str(disk.records), writer=VERSION)
        self._adds = adds

    def load(self) -> Loaded:
        """See the port. The first one makes the folder."""
        act = self._read if self._disk.records.is_dir() else self._change
        return act("records are read", self._inner.load)

    def sweep(self, may: Callable[[str], bool]) -> None:
        """See the port."""
        self._change("half records are removed", lambda: self._inner.sweep(may))

    def save(self, record: Record) -> None:
        """See the port."""
        half = self._disk.records / f".{record.uid}.json.tmp"
        if self._adds:
            record = with_additions(record)
        self._change(f"{record.state} is saved", lambda: self._inner.save(record), half)

    def drop(self, uid: str) -> None:
        """See the port."""
        self._change("record is dropped", lambda: self._inner.drop(uid))


class Documents(_Port):
    """Fulfils `CdiFolder`."""

    def __init__(self, loop: StepLoop, disk: Disk, is_dead: Callable[[], bool]) -> None:
        super().__init__(loop, disk, is_dead)
        disk.check("cdi")
        self._inner = CdiDirectory(str(disk.cdi))

    def write(self, uid: str, document: Mapping[str, Any]) -> bool:
        """See the port."""
        half = self._disk.cdi / f".k8s.gpu.amd.com-gpu_{uid}.json.tmp"
        return self._change("document is written", lambda: self._inner.write(uid, document), half)

    def read(self, uid: str) -> bytes | None:
        """See the port."""
        return self._read("document is read", lambda: self._inner.read(uid))

    def remove(self, uid: str) -> None:
        """See the port."""
        self._change("document is removed", lambda: self._inner.remove(uid))

    def claims(self) -> list[str]:
        """See the port."""
        return self._read("documents are listed", self._inner.claims)

    def sweep(self, may: Callable[[str], bool]) -> None:
        """See the port."""
        self._change("half documents are removed", lambda: self._inner.sweep(may))

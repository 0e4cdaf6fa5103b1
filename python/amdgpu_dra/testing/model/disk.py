"""The disk's side: the real store and the real folder, each call of which may fail, or be the last of its process."""

import errno
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from amdgpu_dra.api.checkpoint import Loaded, Record
from amdgpu_dra.api.errors import HostError
from amdgpu_dra.apps.kubelet_plugin.main import VERSION
from amdgpu_dra.edge.disk import CdiDirectory, RecordFiles
from amdgpu_dra.testing.model.loop import Killed, StepLoop


class Disk:
    """Two folders, and what is wrong with their file systems.

    Attributes:
        folder: where the plugin's own files are.
        fault: errno of every change, or None; with `late` a change is made all the same, and only then fails, as when
            the last fsync does.
        reads_fail: whether reading fails as well.
        half: a process that is killed in a write leaves half a file behind.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.records, self.cdi = folder, folder / "claims", folder / "cdi"
        self.fault: int | None = None
        self.late = self.reads_fail = False
        self.half = False
        self.failed = 0

    def check(self, where: str, *, change: bool = True) -> None:
        """Raises HostError as the edge does, if the disk is not well."""
        if self.fault is not None and (change or self.reads_fail):
            self.failed += 1
            text = os.strerror(self.fault)
            raise HostError(where, expected="a disk", found=text, action=errno.errorcode[self.fault])


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
            if self._disk.half and half is not None and half.parent.is_dir():
                half.write_bytes(b'{"half')
            raise
        if not self._disk.late:
            self._disk.check(label)
        done = call()
        self._disk.check(label)
        return done


class Records(_Port):
    """Fulfils `RecordStore`."""

    def __init__(self, loop: StepLoop, disk: Disk, is_dead: Callable[[], bool]) -> None:
        super().__init__(loop, disk, is_dead)
        self._inner = RecordFiles(str(disk.records), writer=VERSION)

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

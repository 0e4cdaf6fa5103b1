"""Records of claims: one small file each, so that the cost of a claim does not grow with their number."""

import logging
import os
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import replace

from amdgpu_dra.api.checkpoint import (
    CorruptRecordError,
    Loaded,
    LostRecord,
    NewerRecordError,
    Record,
    decode_record,
    encode_record,
    is_uid,
)
from amdgpu_dra.edge.disk.aside import drop_oldest, set_aside
from amdgpu_dra.edge.disk.atomic import host_errors, make_folder, sweep_temporaries, sync_folder, write_file

_LOG = logging.getLogger("disk")
_END = ".json"
# A claim has at most 32 devices of the API's, in some 200 bytes each.
_LARGEST = 1 << 20


class RecordFiles:
    """`<folder>/<uid>.json`. Fulfils `agent/ports.RecordStore`."""

    def __init__(self, folder: str, *, writer: str = "") -> None:
        """`writer`: the version of this driver, which records name. Nothing is touched yet."""
        self.folder, self._writer = folder, writer
        self._made = False
        # Claims whose files are to be set aside.
        self._lost = set[str]()

    def load(self) -> Loaded:
        """Everything in the folder, which is made if it is not there.

        A file that is no record of the claim of its name, or that the disk does not give, is a lost record, and harms
        no other. It stays where it is, so that it is lost for the next process as well, until its claim is saved or
        dropped; then it is set aside under another name.

        Raises:
            HostError: the folder cannot be made or read, so nothing is known.
        """
        with self._errors("to read it"):
            self._make()
            names = sorted(name for name in os.listdir(self.folder) if name.endswith(_END))
        records, lost = list[Record](), list[LostRecord]()
        for name in names:
            found = self._look_at(name)
            if isinstance(found, Record):
                records.append(found)
            elif found is not None:
                lost.append(found)
        self._lost = {item.uid for item in lost}
        return Loaded(records=tuple(records), lost=tuple(lost), empty=not records and not lost)

    def _make(self) -> None:
        if not self._made or not os.path.isdir(self.folder):
            make_folder(self.folder, 0o750)
            self._made = True

    def _look_at(self, name: str) -> Record | LostRecord | None:
        """The record in a file; None if the file has gone meanwhile."""
        uid = name.removesuffix(_END)
        try:
            record = decode_record(self._read(name))
        except FileNotFoundError:
            return None
        except NewerRecordError as error:
            return replace(error.record, uid=uid)
        except CorruptRecordError as error:
            why = str(error)
        except OSError as error:
            why = f"it cannot be read: {error.strerror}"
        else:
            if record.uid == uid:
                return record
            why = f"it is the record of claim UID {record.uid!r}"
        return LostRecord(uid=uid, file=f"{self.folder}/{name}", why=why)

    def _read(self, name: str) -> bytes:
        """The bytes of a file, and of nothing else that may have its name: a pipe would be waited for."""
        if not is_uid(name.removesuffix(_END)):
            raise CorruptRecordError("its name is no claim's UID")
        status = os.lstat(f"{self.folder}/{name}")
        if not stat.S_ISREG(status.st_mode):
            raise CorruptRecordError("it is no ordinary file")
        if status.st_size > _LARGEST:
            raise CorruptRecordError(f"it has {status.st_size} bytes, and no record has more than {_LARGEST}")
        handle = os.open(f"{self.folder}/{name}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(handle, "rb") as file:
            return file.read()

    def sweep(self, may: Callable[[str], bool]) -> None:
        """Removes what killed processes left half written of claims (their UIDs) of which `may` is true."""
        with self._errors("to remove half records"):
            sweep_temporaries(self.folder, "", _END, may)

    def save(self, record: Record) -> None:
        """Keeps a record; on return the disk has it."""
        data = encode_record(replace(record, writer=self._writer))
        name = f"{record.uid}{_END}"
        with self._errors("to write a record"):
            if record.uid in self._lost:
                self._set_aside(name, copy=True)
            try:
                write_file(self.folder, name, data, durable=True)
            except FileNotFoundError:
                # Somebody has removed the folder.
                self._make()
                write_file(self.folder, name, data, durable=True)
        self._lost.discard(record.uid)

    def drop(self, uid: str) -> None:
        """Forgets a record; on return the disk has forgotten it."""
        with self._errors("to remove a record"), suppress(FileNotFoundError):
            if uid in self._lost:
                self._set_aside(f"{uid}{_END}", copy=False)
            with suppress(FileNotFoundError):
                os.unlink(f"{self.folder}/{uid}{_END}")
            sync_folder(self.folder)
        self._lost.discard(uid)

    def _set_aside(self, name: str, *, copy: bool) -> None:
        with suppress(FileNotFoundError):
            to = set_aside(self.folder, name, copy=copy)
            _LOG.warning("record %r was lost, and is set aside as %r in %s", name, to, self.folder)
            drop_oldest(self.folder)
            # Before its name is taken by another.
            sync_folder(self.folder)

    def _errors(self, expected: str) -> AbstractContextManager[None]:
        return host_errors(f"claim records {self.folder}", expected)

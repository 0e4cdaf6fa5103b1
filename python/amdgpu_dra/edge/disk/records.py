"""Records of claims: one small file each, so that the cost of a claim does not grow with their number.

What is done is durable: `<uid>.json`. What is about to be done has a file beside it, `<uid>.intent`, which outlives
this process and not always a power cut: that one takes with it what was begun, since CDI documents lie in a tmpfs and
modes of GPUs do not outlive a boot. So a Prepare waits for the disk once for its bytes and once for their name, and an
Unprepare once. See docs/decisions/0002-claim-records.md.
"""

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
    State,
    decode_record,
    encode_record,
    is_uid,
)
from amdgpu_dra.edge.disk.aside import drop_oldest, set_aside
from amdgpu_dra.edge.disk.atomic import (
    host_errors,
    make_folder,
    remove_file,
    sweep_temporaries,
    sync_folder,
    write_file,
)

_LOG = logging.getLogger("disk")
_END, _INTENT = ".json", ".intent"
# A claim has at most 32 devices of the API's, in some 200 bytes each.
_LARGEST = 1 << 20


class RecordFiles:
    """`<folder>/<uid>.json` and `<folder>/<uid>.intent`. Fulfils `agent/ports.RecordStore`."""

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
            names = set(os.listdir(self.folder))
        uids = {name.removesuffix(end) for end in (_END, _INTENT) for name in names if name.endswith(end)}
        records, lost = list[Record](), list[LostRecord]()
        for uid in sorted(uids):
            found = self._find(uid, intended=f"{uid}{_INTENT}" in names)
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

    def _find(self, uid: str, *, intended: bool) -> Record | LostRecord | None:
        """What is known of a claim; None if that has gone meanwhile.

        The intent is read first: another process writes the record before it removes the intent to prepare.
        """
        intent = self._look_at(uid, _INTENT) if intended else None
        done = self._look_at(uid, _END)
        return intent if _overrules(intent, done) else done

    def _look_at(self, uid: str, end: str) -> Record | LostRecord | None:
        """The record in a file; None if the file has gone meanwhile, or is an intent that a power cut has torn."""
        name = f"{uid}{end}"
        try:
            record = decode_record(self._read(name, end))
        except FileNotFoundError:
            return None
        except NewerRecordError as error:
            return replace(error.record, uid=uid)
        except CorruptRecordError as error:
            if end == _INTENT:
                return None
            why = str(error)
        except OSError as error:
            why = f"it cannot be read: {error.strerror}"
        else:
            if record.uid == uid:
                return record
            why = f"it is the record of claim UID {record.uid!r}"
        return LostRecord(uid=uid, file=f"{self.folder}/{name}", why=why)

    def _read(self, name: str, end: str) -> bytes:
        """The bytes of a file, and of nothing else that may have its name: a pipe would be waited for."""
        if not is_uid(name.removesuffix(end)):
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
        """Removes what killed processes left half written of claims (their UIDs) of which `may` is true.

        So does a power cut, of intents; and an intent to prepare outlives a kill that came when all was done.
        """
        with self._errors("to remove half records"):
            for end in (_END, _INTENT):
                sweep_temporaries(self.folder, "", end, may)
            for name in os.listdir(self.folder):
                uid = name.removesuffix(_INTENT)
                if name != uid and may(uid) and self._is_over(uid):
                    _LOG.info("removed %r in %s, an intent that is over or was torn by a power cut", name, self.folder)
                    remove_file(f"{self.folder}/{name}")

    def _is_over(self, uid: str) -> bool:
        """Whether an intent says nothing, or nothing more."""
        return not _overrules(self._look_at(uid, _INTENT), self._look_at(uid, _END))

    def save(self, record: Record) -> None:
        """Keeps a record; on return the disk has it, or every other process if it is an intent."""
        data = encode_record(replace(record, writer=self._writer))
        with self._errors("to write a record"):
            if record.uid in self._lost:
                self._set_aside(f"{record.uid}{_END}", copy=True)
            try:
                self._write(record, data)
            except FileNotFoundError:
                # Somebody has removed the folder.
                self._make()
                self._write(record, data)
        self._lost.discard(record.uid)

    def _write(self, record: Record, data: bytes) -> None:
        if self._is_intent(record):
            write_file(self.folder, f"{record.uid}{_INTENT}", data, durable=False)
        else:
            write_file(self.folder, f"{record.uid}{_END}", data, durable=True, done=f"{record.uid}{_INTENT}")

    def _is_intent(self, record: Record) -> bool:
        """Whether its file need not be durable, since what a power cut leaves without it is as good.

        An intent to prepare in place of a record of before is no such thing: that one's devices may be others.
        """
        if record.uid in self._lost:
            return False
        if record.state == State.PREPARING:
            return not os.path.lexists(f"{self.folder}/{record.uid}{_END}")
        return record.state == State.UNPREPARING

    def drop(self, uid: str) -> None:
        """Forgets a record; on return the disk has forgotten it."""
        with self._errors("to remove a record"), suppress(FileNotFoundError):
            if uid in self._lost:
                self._set_aside(f"{uid}{_END}", copy=False)
            for end in (_END, _INTENT):
                with suppress(FileNotFoundError):
                    os.unlink(f"{self.folder}/{uid}{end}")
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


def _overrules(intent: Record | LostRecord | None, done: Record | LostRecord | None) -> bool:
    """Whether there is an intent, and no record beside it that is younger."""
    if intent is None or done is None:
        return intent is not None
    if not (isinstance(intent, Record) and isinstance(done, Record)) or done.state == State.NEWER:
        return False
    return intent.state == State.UNPREPARING

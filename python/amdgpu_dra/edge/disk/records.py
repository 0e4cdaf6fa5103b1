"""Records of claims: one small file each, so that the cost of a claim does not grow with their number."""

import logging
import os
from contextlib import AbstractContextManager, suppress

from amdgpu_dra.api.checkpoint import CorruptRecordError, NewerRecordError, Record, decode_record, encode_record
from amdgpu_dra.api.errors import HostError
from amdgpu_dra.edge.disk.atomic import drop_temporaries, host_errors, sync_folder, write_file

_LOG = logging.getLogger("disk")
_END = ".json"


class RecordFiles:
    """`<folder>/<uid>.json`. Fulfils `agent/ports.RecordStore`."""

    def __init__(self, folder: str) -> None:
        """Makes the folder. Raises HostError."""
        self.folder = folder
        with self._errors("to make it"):
            os.makedirs(folder, mode=0o750, exist_ok=True)

    def load(self) -> list[Record]:
        """All records. One that is corrupt is set aside under another name and reported; the others are unharmed.

        Raises:
            HostError: the folder cannot be read, or a newer driver wrote a record.
        """
        found = []
        with self._errors("to read it"):
            drop_temporaries(self.folder)
            for name in sorted(os.listdir(self.folder)):
                if name.endswith(_END):
                    with open(f"{self.folder}/{name}", "rb") as file:
                        data = file.read()
                    record = self._decode(name, data)
                    if record is not None:
                        found.append(record)
        return found

    def _decode(self, name: str, data: bytes) -> Record | None:
        try:
            return _of_its_name(name, decode_record(data))
        except CorruptRecordError as error:
            aside = f"{self.folder}/{name}.corrupt"
            os.rename(f"{self.folder}/{name}", aside)
            _LOG.error(
                "record %s is corrupt: %s; set aside as %s, its claim is prepared anew on demand", name, error, aside
            )
            return None
        except NewerRecordError as error:
            raise HostError(
                f"record {self.folder}/{name}",
                expected="a record that this version of the driver knows",
                found=str(error),
                action="upgrade the driver again, or drain the node before a downgrade",
            ) from error

    def save(self, record: Record) -> None:
        """Keeps a record; on return the disk has it."""
        with self._errors("to write a record"):
            write_file(self.folder, f"{record.uid}{_END}", encode_record(record), durable=True)

    def drop(self, uid: str) -> None:
        """Forgets a record; on return the disk has forgotten it."""
        with self._errors("to remove a record"):
            with suppress(FileNotFoundError):
                os.unlink(f"{self.folder}/{uid}{_END}")
            sync_folder(self.folder)

    def _errors(self, expected: str) -> AbstractContextManager[None]:
        return host_errors(f"claim records {self.folder}", expected)


def _of_its_name(name: str, record: Record) -> Record:
    """The record, if the file's name is its claim's; it would be saved and dropped under another name."""
    if f"{record.uid}{_END}" != name:
        raise CorruptRecordError(f"it is the record of claim UID {record.uid!r}")
    return record

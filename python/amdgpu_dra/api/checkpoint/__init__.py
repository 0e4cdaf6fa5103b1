"""What we keep on disk of a claim: only what cannot be recomputed.

A record is JSON on the first line and the SHA-256 of exactly these bytes on the second, so that a field added by others
can never change the sum.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

__all__ = ["CorruptRecordError", "HeldDevice", "NewerRecordError", "Record", "State", "decode_record", "encode_record"]

VERSION = 1


class State:
    """Where a claim stands; it is ABSENT while there is no record."""

    ABSENT = "Absent"
    PREPARING = "Preparing"
    READY = "Ready"
    UNPREPARING = "Unpreparing"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldDevice:
    """One device of a claim, as it was allocated, and the unique id of its GPU if that is known."""

    request: str
    pool: str
    device: str
    admin_access: bool = False
    share_id: str | None = None
    unique_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A claim's record. `boot_id` is of the boot in which it was written."""

    uid: str
    namespace: str
    name: str
    state: str
    boot_id: str
    devices: tuple[HeldDevice, ...]


# Made once: `json.dumps` makes one for each call that has settings, and `asdict` copies what nobody changes.
_ENCODER = json.JSONEncoder(separators=(",", ":"), sort_keys=True)


class CorruptRecordError(ValueError):
    """The bytes are not what was written."""


class NewerRecordError(ValueError):
    """A newer driver wrote it, in a form that this one does not know."""


def _fields(record: Record) -> dict[str, Any]:
    found = {name: getattr(record, name) for name in Record.__slots__}
    return found | {"devices": [{name: getattr(d, name) for name in HeldDevice.__slots__} for d in record.devices]}


def encode_record(record: Record) -> bytes:
    """The bytes of a record's file."""
    body = _ENCODER.encode({"version": VERSION, **_fields(record)}).encode()
    return body + b"\n" + hashlib.sha256(body).hexdigest().encode() + b"\n"


def decode_record(data: bytes) -> Record:
    """The record that a file holds. Fields that a newer driver of the same version added are ignored.

    Raises:
        CorruptRecordError: the sum is wrong, or the fields are not a record's.
        NewerRecordError: another version.
    """
    body, _, rest = data.partition(b"\n")
    if rest.strip() != hashlib.sha256(body).hexdigest().encode():
        raise CorruptRecordError("the checksum does not fit the bytes")
    try:
        raw = json.loads(body)
        version = raw["version"]
        if version != VERSION:
            raise NewerRecordError(f"expected version {VERSION}, found {version!r}")
        return _record(raw)
    except (KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CorruptRecordError(f"not the fields of a record: {error!r}") from error


def _record(raw: dict[str, Any]) -> Record:
    return Record(
        uid=raw["uid"],
        namespace=raw["namespace"],
        name=raw["name"],
        state=raw["state"],
        boot_id=raw["boot_id"],
        devices=tuple(
            HeldDevice(
                request=item["request"],
                pool=item["pool"],
                device=item["device"],
                admin_access=item["admin_access"],
                share_id=item["share_id"],
                unique_id=item["unique_id"],
            )
            for item in raw["devices"]
        ),
    )

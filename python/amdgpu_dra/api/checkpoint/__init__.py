"""What we keep on disk of a claim: only what cannot be recomputed.

A record is JSON on the first line and the SHA-256 of exactly these bytes on the second, so that a field added by others
can never change the sum.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
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


class CorruptRecordError(ValueError):
    """The bytes are not what was written."""


class NewerRecordError(ValueError):
    """A newer driver wrote it, in a form that this one does not know."""


def encode_record(record: Record) -> bytes:
    """The bytes of a record's file."""
    body = json.dumps({"version": VERSION, **asdict(record)}, separators=(",", ":"), sort_keys=True).encode()
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
        if version == VERSION:
            return _record(raw)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise CorruptRecordError(f"not the fields of a record: {error!r}") from error
    raise NewerRecordError(f"expected version {VERSION}, found {version!r}")


def _record(raw: dict[str, Any]) -> Record:
    if raw["state"] not in (State.PREPARING, State.READY, State.UNPREPARING):
        raise TypeError(f"state: expected one of a claim that is kept, found {raw['state']!r}")
    return Record(
        uid=_text(raw, "uid"),
        namespace=_text(raw, "namespace"),
        name=_text(raw, "name"),
        state=raw["state"],
        boot_id=_text(raw, "boot_id"),
        devices=tuple(
            HeldDevice(
                request=_text(item, "request"),
                pool=_text(item, "pool"),
                device=_text(item, "device"),
                admin_access=item["admin_access"] is True,
                share_id=_find_text(item, "share_id"),
                unique_id=_find_text(item, "unique_id"),
            )
            for item in raw["devices"]
        ),
    )


def _text(raw: dict[str, Any], name: str) -> str:
    value = raw[name]
    if not isinstance(value, str):
        raise TypeError(f"{name}: expected a text, found {value!r}")
    # Half of a surrogate pair is no text: it could be told to nobody.
    value.encode()
    return value


def _find_text(raw: dict[str, Any], name: str) -> str | None:
    return None if raw[name] is None else _text(raw, name)

"""Records ⇄ bytes.

What may change from one release to the next:

- A field may be added within a version. An older driver keeps it and writes it back, so it must mean nothing that an
  older driver has to heed; otherwise the version is raised.
- A new version is not read by older drivers. They hold its devices and answer for its claim with an error. For that,
  `version`, `writer`, `uid`, `namespace`, `name` and of each of `devices` the fields `device` and `admin_access` keep
  name and meaning in every version that there will ever be.
- Each form that was released has a folder in `testdata`; tests read all of them, and hold the encoder to the newest.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from amdgpu_dra.api.checkpoint.record import HeldDevice, Record, State

VERSION = 1
# Made once: `json.dumps` makes one for each call that has settings.
_ENCODER = json.JSONEncoder(separators=(",", ":"), sort_keys=True)
_ON_DISK = (State.PREPARING, State.READY, State.UNPREPARING)
_FIELDS = frozenset({"version", *(field.name for field in fields(Record))}) - {"later"}
_DEVICE_FIELDS = frozenset(field.name for field in fields(HeldDevice)) - {"later"}


class CorruptRecordError(ValueError):
    """The bytes are not what was written."""


class NewerRecordError(ValueError):
    """A newer driver wrote it, in a form that this one does not know.

    `record` has what every form says: state NEWER, and no devices if even those cannot be read.
    """

    def __init__(self, message: str, record: Record) -> None:
        super().__init__(message, record)
        self.record = record

    def __str__(self) -> str:
        return str(self.args[0])


def encode_record(record: Record) -> bytes:
    """The bytes of a record's file: JSON on the first line, and the SHA-256 of exactly these bytes on the second.

    Raises:
        ValueError: its state is none that is kept.
    """
    if record.state not in _ON_DISK:
        raise ValueError(f"state: expected one of {', '.join(_ON_DISK)}, found {record.state!r}")
    known = {name: getattr(record, name) for name in _FIELDS - {"version", "devices"}}
    devices = [_encode_device(device) for device in record.devices]
    body = _ENCODER.encode(_added(record.later) | known | {"version": VERSION, "devices": devices}).encode()
    return body + b"\n" + hashlib.sha256(body).hexdigest().encode() + b"\n"


def _encode_device(device: HeldDevice) -> dict[str, Any]:
    known = {name: getattr(device, name) for name in _DEVICE_FIELDS}
    if not device.alias:
        # As in the forms before v1.2.
        del known["alias"]
    return _added(device.later) | known


def _added(later: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(later) if later else {}
    return found


def decode_record(data: bytes) -> Record:
    """The record that a file holds.

    Raises:
        CorruptRecordError: the sum is wrong, or the fields are not a record's.
        NewerRecordError: another version, or a state that this one has not.
    """
    body, _, rest = data.partition(b"\n")
    if rest.strip() != hashlib.sha256(body).hexdigest().encode():
        raise CorruptRecordError("the checksum does not fit the bytes")
    try:
        raw = json.loads(body)
        version = raw["version"]
        if version == VERSION and (raw["state"] in _ON_DISK or not isinstance(raw["state"], str)):
            return _record(raw)
        found = f"version {version!r}" if version != VERSION else f"state {raw['state']!r}"
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise CorruptRecordError(f"not the fields of a record: {error!r}") from error
    raise NewerRecordError(f"expected version {VERSION}, found {found}", _newer(raw, found))


def _record(raw: Mapping[str, Any]) -> Record:
    return Record(
        uid=_text(raw["uid"]),
        namespace=_text(raw["namespace"]),
        name=_text(raw["name"]),
        state=_text(raw["state"]),
        boot_id=_text(raw["boot_id"]),
        devices=tuple(_device(item) for item in raw["devices"]),
        # Not in form v1.0.
        writer=_text(raw.get("writer", "")),
        later=_rest(raw, _FIELDS),
    )


def _device(raw: Mapping[str, Any]) -> HeldDevice:
    return HeldDevice(
        request=_text(raw["request"]),
        pool=_text(raw["pool"]),
        device=_text(raw["device"]),
        admin_access=_truth(raw["admin_access"]),
        share_id=None if raw["share_id"] is None else _text(raw["share_id"]),
        unique_id=None if raw["unique_id"] is None else _text(raw["unique_id"]),
        # Not before form v1.2: the device's own name.
        alias=_text(raw.get("alias", "")),
        later=_rest(raw, _DEVICE_FIELDS),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a text, found {value!r}")
    # Half of a surrogate pair is no text: it could be told to nobody.
    value.encode()
    return value


def _find_text(value: object) -> str:
    try:
        return _text(value)
    except (TypeError, ValueError):
        return ""


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"expected true or false, found {value!r}")
    return value


def _rest(raw: Mapping[str, Any], known: frozenset[str]) -> str:
    later = {name: value for name, value in raw.items() if name not in known}
    return json.dumps(later, separators=(",", ":"), sort_keys=True) if later else ""


def _newer(raw: Mapping[str, Any], found: str) -> Record:
    """What every form says of a claim, as far as it can be read."""
    writer = _find_text(raw.get("writer"))
    try:
        devices = tuple(
            HeldDevice(
                request="", pool="", device=_text(item["device"]), admin_access=_truth(item.get("admin_access", False))
            )
            for item in raw["devices"]
        )
    except (KeyError, TypeError, AttributeError, ValueError):
        devices = ()
    texts = {name: _find_text(raw.get(name)) for name in ("uid", "namespace", "name")}
    return Record(
        **texts,
        state=State.NEWER,
        boot_id="",
        devices=devices,
        writer=f"{writer} ({found})" if writer else f"that is newer ({found})",
    )

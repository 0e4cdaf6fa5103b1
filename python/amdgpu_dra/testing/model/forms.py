"""Records in the forms of other versions of the driver."""

import hashlib
import json
from dataclasses import replace
from typing import Any

from amdgpu_dra.api.checkpoint import Record

# A field that a newer driver of the same version adds to records and to their devices.
ADDED = "addedLater"
_ADDITION = {ADDED: {"x": [1]}}
# What every form keeps, so that an older driver knows whose devices are held.
_KEPT = ("uid", "namespace", "name")
# The forms that another driver may have left: older ones, one with additional fields, and one that is not to be read.
FORMS = ("v1.0", "v1.1", "added", "newer")


def with_additions(record: Record) -> Record:
    """A record as a newer driver of the same version saves it."""
    later = json.dumps(json.loads(record.later or "{}") | _ADDITION)
    devices = tuple(
        replace(held, later=json.dumps(json.loads(held.later or "{}") | _ADDITION)) for held in record.devices
    )
    return replace(record, later=later, devices=devices)


def in_form(data: bytes, form: str) -> bytes:
    """A record's file as another version of the driver would have written it: one of `FORMS`."""
    body: dict[str, Any] = json.loads(data.partition(b"\n")[0])
    match form:
        case "v1.0" | "v1.1":
            for device in body["devices"]:
                device.pop("alias", None)
            if form == "v1.0":
                body.pop("writer", None)
        case "added":
            body |= _ADDITION
            for device in body["devices"]:
                device.update(_ADDITION)
        case _:
            body = _newer(body)
    line = json.dumps(body, separators=(",", ":"), sort_keys=True).encode()
    return line + b"\n" + hashlib.sha256(line).hexdigest().encode() + b"\n"


def _newer(body: dict[str, Any]) -> dict[str, Any]:
    """Everything that may change does."""
    devices = [
        {"device": device["device"], "admin_access": device["admin_access"], "rest": [device]}
        for device in body["devices"]
    ]
    kept = {name: body[name] for name in _KEPT}
    return kept | {"version": 2, "writer": "9.0.0", "phase": [body["state"]], "devices": devices}

"""Every form that was ever released: `testdata/v<version>.<addition>/*.json`, never changed once it is out."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.api.checkpoint import HeldDevice, Record, State, decode_record, encode_record

FORMS = sorted(
    Path(__file__).parent.joinpath("testdata").iterdir(),
    key=lambda path: [int(part) for part in path.name[1:].split(".")],
)
FILES = [file for form in FORMS for file in sorted(form.glob("*.json"))]
NEWEST = sorted(FORMS[-1].glob("*.json"))


def _name(file: Path) -> str:
    return f"{file.parent.name}-{file.stem}"


@pytest.mark.parametrize("file", FILES, ids=_name)
def test_every_released_form_is_read(file: Path) -> None:
    """Each field that the file has is in the record, and nothing of it is taken for a newer driver's."""
    raw = json.loads(file.read_bytes().splitlines()[0])
    record = decode_record(file.read_bytes())

    for name in raw.keys() - {"version", "devices"}:
        assert raw[name] == getattr(record, name)
    for item, device in zip(raw["devices"], record.devices, strict=True):
        assert item == {name: getattr(device, name) for name in item}
    assert {record.later, *(device.later for device in record.devices)} == {""}
    aliases = {device.alias for device in record.devices} - {""}
    assert aliases == {item["alias"] for item in raw["devices"] if "alias" in item}


@pytest.mark.parametrize("file", NEWEST, ids=_name)
def test_the_newest_form_is_the_encoders(file: Path) -> None:
    """Who changes what is written adds a folder `testdata/v…` with the new form, and leaves the others as they are."""
    assert file.read_bytes() == encode_record(decode_record(file.read_bytes()))


def test_every_form_has_every_case() -> None:
    """Whatever a record can hold is in the files of each form: states, shares, admin access, unknown ids, nothing."""
    for form in FORMS:
        records = [decode_record(file.read_bytes()) for file in form.glob("*.json")]
        devices = [device for record in records for device in record.devices]

        assert {record.state for record in records} == {State.PREPARING, State.READY, State.UNPREPARING}
        assert {device.admin_access for device in devices} == {True, False}
        assert {device.share_id is None for device in devices} == {True, False}
        assert {device.unique_id is None for device in devices} == {True, False}
        assert {len(record.devices) for record in records} >= {0, 1, 2}


def _read_as_v1_0(data: bytes) -> dict[str, Any]:
    """What the driver that knew v1.0 made of a file: its decoder as it was released, but for the types."""
    body, _, rest = data.partition(b"\n")
    assert rest.strip() == hashlib.sha256(body).hexdigest().encode()
    raw = json.loads(body)
    assert raw["version"] == 1
    names = ("request", "pool", "device", "admin_access", "share_id", "unique_id")
    found = {name: raw[name] for name in ("uid", "namespace", "name", "state", "boot_id")}
    return found | {"devices": [{name: item[name] for name in names} for item in raw["devices"]]}


def _write_as_v1_0(found: dict[str, Any]) -> bytes:
    """What it wrote of that."""
    body = json.dumps({"version": 1, **found}, separators=(",", ":"), sort_keys=True).encode()
    return body + b"\n" + hashlib.sha256(body).hexdigest().encode() + b"\n"


@pytest.mark.parametrize("file", [file for file in FILES if file.parent.name == "v1.0"], ids=_name)
def test_up_and_down_again_loses_nothing(file: Path) -> None:
    """v1.0 is read here, written here, read by v1.0 and written by it: every byte is as before."""
    upgraded = encode_record(decode_record(file.read_bytes()))

    assert _write_as_v1_0(_read_as_v1_0(upgraded)) == file.read_bytes()


TEXTS = st.text(max_size=20)
DEVICES = st.builds(
    HeldDevice,
    request=TEXTS,
    pool=TEXTS,
    device=TEXTS,
    admin_access=st.booleans(),
    share_id=st.none() | TEXTS,
    unique_id=st.none() | TEXTS,
)


@given(st.lists(DEVICES, max_size=3), TEXTS)
def test_any_record_is_read_after_a_downgrade(devices: list[HeldDevice], text: str) -> None:
    """What v1.0 reads of what is written now is what was meant."""
    record = Record(
        uid=text, namespace=text, name=text, state=State.READY, boot_id=text, devices=tuple(devices), writer=text
    )
    found = decode_record(_write_as_v1_0(_read_as_v1_0(encode_record(record))))

    assert (found.uid, found.state, found.devices) == (record.uid, record.state, record.devices)

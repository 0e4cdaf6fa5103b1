"""Records on disk: what is written is read, and nothing else is taken for a record."""

import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.api.checkpoint import (
    CorruptRecordError,
    HeldDevice,
    NewerRecordError,
    Record,
    State,
    decode_record,
    encode_record,
)

TEXTS = st.text(max_size=20)
RECORDS = st.builds(
    Record,
    uid=TEXTS,
    namespace=TEXTS,
    name=TEXTS,
    state=st.sampled_from(["Preparing", "Ready", "Unpreparing"]),
    boot_id=TEXTS,
    writer=TEXTS,
    devices=st.lists(
        st.builds(
            HeldDevice,
            request=TEXTS,
            pool=TEXTS,
            device=TEXTS,
            admin_access=st.booleans(),
            share_id=st.none() | TEXTS,
            unique_id=st.none() | TEXTS,
            alias=TEXTS,
        ),
        max_size=4,
    ).map(tuple),
)
# Of the first form; all that were ever released are in `testdata`.
FIRST = (
    b'{"boot_id":"b","devices":[{"admin_access":false,"device":"gpu-0000-05-00-0","pool":"n","request":"r",'
    b'"share_id":null,"unique_id":"2d9fceb799029742"}],"name":"c","namespace":"ns","state":"Ready","uid":"u","version":1}'
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
ADDED = st.dictionaries(TEXTS.map(lambda text: f"new{text}") | st.just("later"), VALUES, max_size=3)


def _signed(body: bytes) -> bytes:
    return body + b"\n" + hashlib.sha256(body).hexdigest().encode() + b"\n"


@given(RECORDS)
def test_what_is_written_is_read(record: Record) -> None:
    """Decoding is the inverse of encoding."""
    assert record == decode_record(encode_record(record))


@given(RECORDS, st.data())
def test_a_changed_byte_is_noticed(record: Record, data: st.DataObject) -> None:
    """Any change of any byte of body or sum is a corrupt record, never another one."""
    written = encode_record(record)
    at = data.draw(st.integers(0, len(written) - 2))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != written[at]))

    with pytest.raises(CorruptRecordError):
        decode_record(written[:at] + bytes([other]) + written[at + 1 :])


@given(st.binary(max_size=200))
def test_other_bytes_are_no_record(data: bytes) -> None:
    """Nothing that was not written as one is read as one, signed or not."""
    for candidate in (data, _signed(data.replace(b"\n", b""))):
        with pytest.raises(CorruptRecordError):
            decode_record(candidate)


def _changed(**changes: object) -> bytes:
    return _signed(json.dumps(json.loads(FIRST) | changes).encode())


@given(ADDED, ADDED, st.sampled_from(["Preparing", "Ready", "Unpreparing"]))
def test_fields_of_a_newer_driver_are_kept(top: dict[str, object], inner: dict[str, object], state: str) -> None:
    """What a newer driver has added, to a record or to a device, is written back by an older one that changes it."""
    raw = json.loads(FIRST)
    device = raw["devices"][0] | inner
    record = decode_record(_signed(json.dumps(raw | top | {"devices": [device]}).encode()))
    written = json.loads(encode_record(replace(record, state=state)).splitlines()[0])

    assert written == raw | top | {"devices": [device], "state": state, "writer": ""}
    assert record.devices[0].device == "gpu-0000-05-00-0"


def test_a_newer_version_is_named_and_its_devices_are_known() -> None:
    """Another version is not corrupt; the message says which, and what every version says is read."""
    with pytest.raises(NewerRecordError, match="found version 2") as caught:
        decode_record(
            _changed(version=2, writer="0.9.0", devices=[{"device": "gpu-a", "mode": 7}, {"device": "gpu-b"}])
        )

    record = caught.value.record
    assert (record.uid, record.namespace, record.name, record.state) == ("u", "ns", "c", State.NEWER)
    assert [device.device for device in record.devices] == ["gpu-a", "gpu-b"]
    assert record.writer == "0.9.0 (version 2)"


@pytest.mark.parametrize("devices", [None, 7, [7], [{"gpu": "a"}], [{"device": 1}], "gpu"])
def test_a_newer_version_whose_devices_are_not_read_has_none(devices: object) -> None:
    """It is told as one of which nothing is known, and not as corrupt."""
    with pytest.raises(NewerRecordError) as caught:
        decode_record(_changed(version="1.2", devices=devices, writer=None))

    assert caught.value.record.devices == ()
    assert caught.value.record.writer == "that is newer (version '1.2')"


def test_a_state_that_is_not_known_is_a_newer_drivers() -> None:
    """Nobody else can have written it."""
    with pytest.raises(NewerRecordError, match="state 'Moving'"):
        decode_record(_changed(state="Moving"))


@pytest.mark.parametrize(
    "changes",
    [
        {"uid": 1},
        {"uid": "\ud800"},
        {"name": None},
        {"state": []},
        {"devices": 1},
        {"devices": [1]},
        {"devices": [{}]},
        {"devices": [json.loads(FIRST)["devices"][0] | {"admin_access": "no"}]},
        {"devices": [json.loads(FIRST)["devices"][0] | {"share_id": 1}]},
    ],
)
def test_wrong_types_are_corrupt(changes: dict[str, object]) -> None:
    """A sum that fits is not enough: a text is a text, and a list has devices."""
    with pytest.raises(CorruptRecordError, match="not the fields"):
        decode_record(_changed(**changes))


def test_a_body_that_is_deep_is_corrupt() -> None:
    """However deep it is nested."""
    with pytest.raises(CorruptRecordError):
        decode_record(_signed(b"[" * 100_000))


@pytest.mark.parametrize("name", ["uid", "namespace", "name", "writer"])
def test_a_newer_record_has_no_text_that_cannot_be_sent(name: str) -> None:
    """Half of a surrogate pair is nobody's name."""
    with pytest.raises(NewerRecordError) as caught:
        decode_record(_changed(version=2, **{name: "\ud800"}))
    record = caught.value.record
    assert f"{record.uid}{record.namespace}{record.name}{record.writer}".encode()


@pytest.mark.parametrize("state", [State.LOST, State.NEWER, State.ABSENT])
def test_only_states_of_the_disk_are_written(state: str) -> None:
    """What a process makes of a record that it cannot read never becomes one."""
    record = replace(decode_record(_signed(FIRST)), state=state)

    with pytest.raises(ValueError, match="expected one of Preparing"):
        encode_record(record)

"""Records on disk: what is written is read, and nothing else is taken for a record."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.api.checkpoint import (
    CorruptRecordError,
    HeldDevice,
    NewerRecordError,
    Record,
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
    devices=st.lists(
        st.builds(
            HeldDevice,
            request=TEXTS,
            pool=TEXTS,
            device=TEXTS,
            admin_access=st.booleans(),
            share_id=st.none() | TEXTS,
            unique_id=st.none() | TEXTS,
        ),
        max_size=4,
    ).map(tuple),
)
# Written by version 0.1.0; it must be read by every later one.
RELEASED = (
    b'{"boot_id":"b","devices":[{"admin_access":false,"device":"gpu-0000-05-00-0","pool":"n","request":"r",'
    b'"share_id":null,"unique_id":"2d9fceb799029742"}],"name":"c","namespace":"ns","state":"Ready","uid":"u","version":1}'
)


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


def test_a_released_record_is_read() -> None:
    """The form of version 0.1.0 stays readable."""
    record = decode_record(_signed(RELEASED))

    assert (record.uid, record.devices[0].device) == ("u", "gpu-0000-05-00-0")


def test_fields_of_a_newer_driver_are_passed_over() -> None:
    """A field that was added within a version does no harm to an older driver."""
    raw = json.loads(RELEASED) | {"added": {"later": True}}

    assert decode_record(_signed(json.dumps(raw).encode())).name == "c"


def test_a_newer_version_is_named() -> None:
    """Another version is not corrupt, and the message says which it is."""
    raw = json.loads(RELEASED) | {"version": 2}

    with pytest.raises(NewerRecordError, match="found 2"):
        decode_record(_signed(json.dumps(raw).encode()))

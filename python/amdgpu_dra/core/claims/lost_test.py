"""What is held by a process that starts on records and documents of which some were lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.api.checkpoint import HeldDevice, Loaded, LostRecord, Record, State
from amdgpu_dra.api.resource import Claim, DeviceResult
from amdgpu_dra.core.cdi import encode_spec
from amdgpu_dra.core.claims import Holdings, Missing, find_record, is_missing, plan_record, take_stock
from amdgpu_dra.core.devices import Layout, Listing, list_devices
from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.core.gpu import parse
from amdgpu_dra.edge.faketree import read_fleet

LISTINGS = [list_devices(parse(render(read_fleet(fleet)))) for fleet in ("mi300x-8-spx", "mi300x-8-cpx", "v620-2")]
UIDS = ["a", "b", "c"]


def _held(name: str, *, admin: bool = False) -> HeldDevice:
    return HeldDevice(request="gpu/one", pool="n", device=name, admin_access=admin)


def _record(uid: str, *devices: HeldDevice, state: str = State.READY) -> Record:
    return Record(uid=uid, namespace="ns", name=f"claim-{uid}", state=state, boot_id="b", devices=devices)


def _document(record: Record, listing: Listing) -> bytes:
    return encode_spec(plan_record(record, node="n", listing=listing, dev_root="/dev").spec)


@given(st.data())
def test_a_document_has_the_devices_of_its_claim(data: st.DataObject) -> None:
    """Whatever a claim was given, its document says: the claim, each device once, and its request."""
    listing = data.draw(st.sampled_from(LISTINGS))
    names = data.draw(st.lists(st.sampled_from([device.name for device in listing.devices]), min_size=1, max_size=4))
    record = _record("u", *(_held(name, admin=data.draw(st.booleans())) for name in names))
    found = find_record("u", _document(record, listing), "n")

    assert found is not None
    assert (found.uid, found.namespace, found.name, found.state) == ("u", "ns", "claim-u", State.LOST)
    assert found.devices == tuple(_held(name) for name in dict.fromkeys(names))


@pytest.mark.parametrize(
    "document",
    [b"", b"[", b"[" * 100_000, b"7", b'{"devices": 7}', b'{"devices": [7, {"containerEdits": {"env": 7}}]}'],
)
def test_what_is_no_document_names_nobody(document: bytes) -> None:
    """Whatever bytes lie under our name."""
    assert find_record("u", document, "n") is None


@given(st.sets(st.sampled_from(UIDS)), st.sets(st.sampled_from(UIDS)), st.sets(st.sampled_from(UIDS)))
def test_every_claim_is_held_or_looked_for(kept: set[str], lost: set[str], documents: set[str]) -> None:
    """A claim of which anything is left is held once; one whose record was lost with nothing left is looked for."""
    (listing, *_) = LISTINGS
    record = _record("x", _held(listing.devices[0].name))
    loaded = Loaded(
        records=tuple(_record(uid, _held(uid)) for uid in sorted(kept)),
        lost=tuple(LostRecord(uid=uid, file="f", why="w") for uid in (*sorted(lost - kept), "no uid")),
        empty=not kept and not lost,
    )
    records, missing = take_stock(loaded, dict.fromkeys(documents, _document(record, listing)), "n")

    assert sorted(record.uid for record in records) == sorted(kept | documents)
    assert {record.uid for record in records if record.state == State.LOST} == documents - kept
    assert missing.uids == lost - kept - documents
    assert missing.all == (bool(documents) and not kept and not lost)


def test_a_newer_record_that_does_not_say_has_what_its_document_says() -> None:
    """Its devices are held all the same."""
    (listing, *_) = LISTINGS
    first = listing.devices[0].name
    loaded = Loaded(records=(_record("a", state=State.NEWER), _record("b", _held("gpu-x"), state=State.NEWER)))
    document = _document(_record("a", _held(first)), listing)
    (one, other), missing = take_stock(loaded, {"a": document, "b": document}, "n")

    assert (one.state, one.devices, one.name) == (State.NEWER, (_held(first),), "claim-a")
    assert other.devices == (_held("gpu-x"),)
    assert not missing


CLAIM = Claim(
    namespace="ns",
    name="c",
    uid="u",
    results=(DeviceResult(request="r", driver="gpu.amd.com", pool="n", device="d"),),
    reserved=True,
)


@pytest.mark.parametrize(
    ("missing", "node", "found"),
    [
        (Missing(uids=frozenset("u")), "n", True),
        (Missing(uids=frozenset("v")), "n", False),
        (Missing(uids=frozenset("u")), "other", False),
        (Missing(all=True), "n", True),
        (Missing(all=True).without("u"), "n", False),
        (Missing(uids=frozenset("u")).without("u"), "n", False),
        (Missing(), "n", False),
    ],
)
def test_who_is_looked_for(missing: Missing, node: str, *, found: bool) -> None:
    """Those that were lost, have devices of this node, and were not unprepared meanwhile."""
    assert is_missing(CLAIM, missing, node, Holdings()) == found
    assert not is_missing(CLAIM, missing, node, Holdings([_record("u")]))


def test_a_layout_of_candidates_is_named_in_documents() -> None:
    """Partitions of a dynamic node have names as any other: they are read back from the variable's name."""
    listing = list_devices(parse(render(read_fleet("mi300x-8-cpx"))), Layout(dynamic=True))
    name = next(device.name for device in listing.devices if device.is_current)
    found = find_record("u", _document(_record("u", _held(name)), listing), "n")

    assert found is not None
    assert [device.device for device in found.devices] == [name]

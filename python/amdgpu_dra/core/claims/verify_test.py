"""What does not fit of a claim is found, mended once, and never mended into another GPU."""

import json
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.api.checkpoint import HeldDevice, Record, State
from amdgpu_dra.api.reasons import Reason
from amdgpu_dra.api.resource import Claim, DeviceResult
from amdgpu_dra.core.cdi import encode_spec
from amdgpu_dra.core.claims import Effect, Finding, Here, Holdings, Seen, judge, name_in, plan_record
from amdgpu_dra.core.devices import Listing, list_devices
from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.core.gpu import parse
from amdgpu_dra.edge.faketree import read_fleet

FLEET = read_fleet("mi300x-8-spx")
NOW = parse(render(FLEET))
SPX = list_devices(NOW)
# The boards of the first two slots are exchanged for each other; or the first is gone, and all minors have moved.
SWAPPED = list_devices(
    replace(
        NOW,
        gpus=(
            replace(NOW.gpus[0], unique_id=NOW.gpus[1].unique_id),
            replace(NOW.gpus[1], unique_id=NOW.gpus[0].unique_id),
            *NOW.gpus[2:],
        ),
    )
)
MOVED = list_devices(parse(render(replace(FLEET, gpus=FLEET.gpus[1:]))))
NAMES = [device.name for device in SPX.devices][:3]
UIDS = {device.name: device.gpu.unique_id for device in SPX.devices}


def _record(name: str, state: str = State.READY) -> Record:
    held = HeldDevice(request="r", pool="n", device=name, unique_id=UIDS[name])
    return Record(uid="u", namespace="ns", name="c", state=state, boot_id="b", devices=(held,))


def _claim(name: str, uid: str = "u", *, reserved: bool = True) -> Claim:
    result = DeviceResult(request="r", driver="gpu.amd.com", pool="n", device=name)
    return Claim(namespace="ns", name="c", uid=uid, results=(result,), reserved=reserved)


def _document(name: str, listing: Listing = SPX) -> bytes:
    return encode_spec(plan_record(_record(name), node="n", listing=listing, dev_root="/dev").spec)


def _here(listing: Listing, *others: Record) -> Here:
    return Here(node="n", boot_id="b2", dev_root="/dev", listing=listing, held=Holdings(others))


@dataclass
class Kept:
    """What there is of a claim, on which effects are carried out."""

    record: Record | None
    document: bytes | None

    def carry_out(self, finding: Finding) -> None:
        """Each effect of a finding, in order."""
        states = {
            Effect.SAVE_PREPARING: State.PREPARING,
            Effect.SAVE_READY: State.READY,
            Effect.SAVE_UNPREPARING: State.UNPREPARING,
        }
        for effect in finding.effects:
            if effect in states:
                assert finding.record is not None
                self.record = replace(finding.record, state=states[effect])
            elif effect is Effect.WRITE_CDI:
                assert finding.plan is not None
                self.document = encode_spec(finding.plan.spec)
            elif effect is Effect.DROP_CDI:
                self.document = None
            elif effect is Effect.DROP_RECORD:
                self.record = None


@given(
    st.sampled_from([None, State.PREPARING, State.READY, State.UNPREPARING, State.LOST, State.NEWER]),
    st.sampled_from([None, b"", b"[]", *(_document(name) for name in NAMES)]),
    st.sampled_from([None, _claim(NAMES[0]), _claim(NAMES[0], "v"), _claim(NAMES[0], reserved=False)]),
    st.booleans(),
    st.sampled_from([SPX, SWAPPED, MOVED]),
)
def test_mended_once_and_never_into_another_gpu(
    state: str | None,
    document: bytes | None,
    claim: Claim | None,
    known: bool,  # noqa: FBT001 - Hypothesis
    listing: Listing,
) -> None:
    """After the effects of a finding there is nothing more to do, and what a READY claim gets is the GPU it had."""
    kept = Kept(None if state is None else _record(NAMES[0], state), document)
    here = _here(listing)
    # Of a lost one nobody knows which board it had.
    had_record = kept.record is not None and state != State.LOST
    finding = judge("u", Seen(record=kept.record, document=kept.document, known=known, claim=claim), here)
    if finding is not None:
        kept.carry_out(finding)
    again = judge("u", Seen(record=kept.record, document=kept.document, known=known, claim=claim), here)

    assert again is None or not again.effects
    if kept.record is not None and kept.record.state == State.READY and kept.document is not None and had_record:
        nodes = json.loads(kept.document)["devices"][0]["containerEdits"]["deviceNodes"]
        (owner,) = [device for device in listing.devices if device.gpu.unique_id == UIDS[NAMES[0]]]
        assert {(node["major"], node["minor"]) for node in nodes} == {(node.major, node.minor) for node in owner.nodes}
    if not known and state is not None:
        assert kept.record is not None


@pytest.mark.parametrize(
    ("seen", "listing", "reason", "effects"),
    [
        (
            Seen(record=_record(NAMES[0])),
            SPX,
            Reason.DOCUMENT_REWRITTEN,
            (Effect.CHECK_NODES, Effect.WRITE_CDI),
        ),
        (
            Seen(record=_record(NAMES[1]), document=_document(NAMES[1])),
            MOVED,
            Reason.DOCUMENT_REWRITTEN,
            (Effect.CHECK_NODES, Effect.WRITE_CDI),
        ),
        (
            Seen(record=_record(NAMES[0]), document=_document(NAMES[0])),
            SWAPPED,
            Reason.CLAIM_QUARANTINED,
            (Effect.DROP_CDI,),
        ),
        (
            Seen(record=_record(NAMES[0]), document=_document(NAMES[0])),
            MOVED,
            Reason.CLAIM_QUARANTINED,
            (Effect.DROP_CDI,),
        ),
        (
            Seen(record=_record(NAMES[0], State.PREPARING), known=True),
            SPX,
            Reason.CLAIM_GONE,
            (Effect.SAVE_UNPREPARING, Effect.DROP_CDI, Effect.DROP_RECORD),
        ),
        (Seen(document=b"{}", known=True), SPX, Reason.DOCUMENT_REMOVED, (Effect.DROP_CDI,)),
        (
            Seen(record=_record(NAMES[0], State.LOST), document=b"x", known=True, claim=_claim(NAMES[0])),
            SPX,
            Reason.RECORD_REBUILT,
            (Effect.CHECK_NODES, Effect.WRITE_CDI, Effect.SAVE_READY),
        ),
        (
            Seen(missing=True, known=True, claim=_claim(NAMES[0])),
            SPX,
            Reason.RECORD_REBUILT,
            (Effect.CHECK_NODES, Effect.WRITE_CDI, Effect.SAVE_READY),
        ),
        (
            Seen(record=_record(NAMES[0], State.LOST), document=b"x", known=True),
            SPX,
            Reason.DOCUMENT_REMOVED,
            (Effect.SAVE_UNPREPARING, Effect.DROP_CDI, Effect.DROP_RECORD),
        ),
        (Seen(missing=True, known=True), SPX, Reason.CLAIM_GONE, (Effect.DROP_CDI, Effect.DROP_RECORD)),
        (Seen(record=_record(NAMES[0], State.NEWER), document=b"x", known=True), SPX, Reason.RECORD_NEWER, ()),
    ],
    ids=[
        "lost",
        "minors-moved",
        "board-exchanged",
        "gpu-gone",
        "claim-gone",
        "nobodys",
        "record-lost",
        "both-lost",
        "record-lost-and-claim-gone",
        "both-lost-and-claim-gone",
        "newer",
    ],
)
def test_what_is_found(seen: Seen, listing: Listing, reason: Reason, effects: tuple[Effect, ...]) -> None:
    """Each thing that can be wrong, by its reason and its effects."""
    finding = judge("u", seen, _here(listing))

    assert finding is not None
    assert (finding.reason, finding.effects) == (reason, effects)


@pytest.mark.parametrize(
    "seen",
    [
        Seen(document=_document(NAMES[0])),
        Seen(record=_record(NAMES[0], State.UNPREPARING), document=b"x"),
        Seen(record=_record(NAMES[0], State.LOST), document=b"x"),
        Seen(known=True, claim=_claim(NAMES[0])),
        Seen(record=_record(NAMES[0]), document=_document(NAMES[0]), known=True, claim=_claim(NAMES[0])),
    ],
    ids=["api-away", "kubelets-to-retry", "record-lost-and-api-away", "not-prepared-yet", "all-right"],
)
def test_what_is_left_alone(seen: Seen) -> None:
    """What is not known, what the kubelet tries again, and what fits."""
    assert judge("u", seen, _here(SPX)) is None


def test_a_lost_record_does_not_take_a_device_that_is_held() -> None:
    """A record is made anew unless another claim has its device by now."""
    seen = Seen(document=_document(NAMES[0]), known=True, claim=_claim(NAMES[0]))
    anew = judge("u", seen, _here(SPX))
    refused = judge("u", seen, _here(SPX, replace(_record(NAMES[0]), uid="v")))

    assert anew is not None
    assert (anew.reason, anew.effects[-1]) == (Reason.RECORD_REBUILT, Effect.SAVE_READY)
    assert refused is not None
    assert refused.reason == Reason.CLAIM_QUARANTINED
    assert refused.record is not None
    assert refused.record.state == State.LOST


def test_a_document_names_its_claim() -> None:
    """Namespace and name are read from its variables; what is no document of ours names nobody."""
    assert name_in(_document(NAMES[0])) == ("ns", "c")
    assert name_in(b'{"devices": [{"containerEdits": {"env": ["AMD_GPU_X=claim=/", 7]}}, 1]}') is None


@given(st.binary(max_size=40) | st.sampled_from([b'{"devices": 1}', b'{"devices": [{"containerEdits": []}]}', b"[]"]))
def test_any_bytes_are_survived(data: bytes) -> None:
    """A file that is no document is no error."""
    assert name_in(data) is None

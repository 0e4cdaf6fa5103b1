"""Compares what is kept of a claim with its document, the node's devices and the API, and says what mends it.

A decision for one claim at a time, so that it can be made and carried out within the claim's turn.
"""

from dataclasses import dataclass

from amdgpu_dra.api.checkpoint import Record, State
from amdgpu_dra.api.errors import DriverError
from amdgpu_dra.api.reasons import Reason
from amdgpu_dra.api.resource import Claim
from amdgpu_dra.core.cdi import encode_spec
from amdgpu_dra.core.claims.guard import Holdings
from amdgpu_dra.core.claims.lost import hold_claim
from amdgpu_dra.core.claims.plan import Plan, carry_over, find_switches, newer_error, plan_claim, plan_record
from amdgpu_dra.core.claims.table import Effect, Event, effects_of
from amdgpu_dra.core.devices import Listing
from amdgpu_dra.core.slices import DRIVER


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What there is of a claim.

    Attributes:
        record: what the plugin keeps.
        missing: whether its record was lost, and its document with it.
        document: the bytes of its CDI file.
        known: whether the API server was asked and has answered.
        claim: the claim of its name on the API server, which may have another UID.
    """

    record: Record | None = None
    missing: bool = False
    document: bytes | None = None
    known: bool = False
    claim: Claim | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What does not fit, and the effects that mend it; none if only somebody else can.

    `record` is held from now on, also where nothing can be written of it: then it is LOST.
    """

    reason: Reason
    detail: str
    effects: tuple[Effect, ...] = ()
    record: Record | None = None
    plan: Plan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """This node: its name and boot, its device root, its devices, and the claims that it holds."""

    node: str
    boot_id: str
    dev_root: str
    listing: Listing
    held: Holdings


def judge(uid: str, seen: Seen, here: Here) -> Finding | None:
    """What does not fit of a claim; None if all does, or if it is not known."""
    if seen.record is None or seen.record.state == State.LOST:
        there = seen.record is not None or seen.document is not None or seen.missing
        return _judge_orphan(uid, seen, here) if there else None
    if seen.record.state == State.NEWER:
        return Finding(reason=Reason.RECORD_NEWER, detail=str(newer_error(seen.record)))
    if seen.known and not _is_here(uid, seen.claim, here):
        detail = "the claim is gone from the API server, or allocated here no more; what was left of it is removed"
        return Finding(
            reason=Reason.CLAIM_GONE,
            detail=detail,
            effects=effects_of(seen.record.state, Event.UNPREPARE),
            record=seen.record,
        )
    # A Prepare or Unprepare that did not end is the kubelet's to try again.
    return _judge_ready(seen.record, seen.document, here) if seen.record.state == State.READY else None


def _is_here(uid: str, claim: Claim | None, here: Here) -> bool:
    """Whether it is this claim, and has a device of this node."""
    if claim is None or claim.uid != uid:
        return False
    return any(result.driver == DRIVER and result.pool == here.node for result in claim.results or ())


def _judge_ready(record: Record, document: bytes | None, here: Here) -> Finding | None:
    try:
        if find_switches(record, here.listing):
            return _withdraw(Reason.MODE_LOST, "its GPU is in another mode; the next Prepare switches it", document)
        plan = plan_record(record, node=here.node, listing=here.listing, dev_root=here.dev_root)
    except DriverError as error:
        return _withdraw(Reason.CLAIM_QUARANTINED, str(error), document)
    if document == encode_spec(plan.spec):
        return None
    was = "was missing" if document is None else "did not fit the device nodes of now"
    return Finding(
        reason=Reason.DOCUMENT_REWRITTEN,
        detail=f"its CDI document {was} and is written again",
        effects=(Effect.CHECK_NODES, Effect.WRITE_CDI),
        record=record,
        plan=plan,
    )


def _withdraw(reason: Reason, detail: str, document: bytes | None, lost: Record | None = None) -> Finding:
    """Takes the document away: its numbers may be another GPU's by now. What is held stays held."""
    effects = () if document is None else (Effect.DROP_CDI,)
    return Finding(reason=reason, detail=detail, effects=effects, record=lost)


def _judge_orphan(uid: str, seen: Seen, here: Here) -> Finding | None:
    """A claim without a record: it is done with, or its record was lost."""
    if not seen.known:
        return None
    if seen.claim is not None and _is_here(uid, seen.claim, here) and seen.claim.reserved:
        return _rebuild(uid, seen, seen.claim, here)
    if seen.missing:
        return Finding(
            reason=Reason.CLAIM_GONE,
            detail=f"the record of claim UID {uid} was lost, and no pod of this node has the claim",
            effects=(Effect.DROP_CDI, Effect.DROP_RECORD),
        )
    return Finding(
        reason=Reason.DOCUMENT_REMOVED,
        detail=f"the CDI document of claim UID {uid} was nobody's and is removed",
        effects=effects_of(State.ABSENT if seen.record is None else seen.record.state, Event.UNPREPARE),
        record=seen.record,
    )


def _rebuild(uid: str, seen: Seen, claim: Claim, here: Here) -> Finding:
    """The record comes last, and at once as READY: for a pod that runs already the kubelet does not ask again.

    Killed before, what was lost is still lost, and the next look comes here again.
    """
    lost = hold_claim(claim, here.node, here.listing) if seen.record is None else None
    try:
        planned = plan_claim(claim, uid, node=here.node, listing=here.listing, boot_id=here.boot_id)
        record = carry_over(planned, seen.record)
        conflict = here.held.find_conflict(record)
        if conflict is not None:
            detail = f"its record was lost, and device {conflict[0]} is prepared for claim UID {conflict[1].uid}"
            return _withdraw(Reason.CLAIM_QUARANTINED, detail, seen.document)
        detail = "its record was lost and is made anew from the API server"
        if find_switches(record, here.listing):
            effects: tuple[Effect, ...] = (Effect.SAVE_READY, Effect.DROP_CDI)
            return Finding(reason=Reason.RECORD_REBUILT, detail=detail, effects=effects, record=record)
        plan = plan_record(record, node=here.node, listing=here.listing, dev_root=here.dev_root)
    except DriverError as error:
        return _withdraw(Reason.CLAIM_QUARANTINED, str(error), seen.document, lost)
    effects = (Effect.CHECK_NODES, Effect.WRITE_CDI, Effect.SAVE_READY)
    return Finding(reason=Reason.RECORD_REBUILT, detail=detail, effects=effects, record=record, plan=plan)

"""Compares what is kept of a claim with its document, the node's devices and the API, and says what mends it.

A decision for one claim at a time, so that it can be made and carried out within the claim's turn.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeGuard

from amdgpu_dra.api.checkpoint import Record, State
from amdgpu_dra.api.errors import DriverError
from amdgpu_dra.api.reasons import Reason
from amdgpu_dra.api.resource import Claim
from amdgpu_dra.core.cdi import encode_spec
from amdgpu_dra.core.claims.guard import Holdings
from amdgpu_dra.core.claims.plan import Plan, find_switches, plan_claim, plan_record
from amdgpu_dra.core.claims.table import Effect, Event, effects_of
from amdgpu_dra.core.devices import Listing
from amdgpu_dra.core.slices import DRIVER

# Of an object of the API; what a document says goes into a request.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")

# A device, and its position where it stands in the claim twice.
_DEVICE = re.compile(r"(gpu(?:-[0-9a-f]+){4}(?:-[a-z]+-[0-9]+)?)(?:-[0-9]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What there is of a claim.

    Attributes:
        record: what the plugin keeps.
        document: the bytes of its CDI file.
        known: whether the API server was asked and has answered.
        claim: the claim of its name on the API server, which may have another UID.
    """

    record: Record | None = None
    document: bytes | None = None
    known: bool = False
    claim: Claim | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What does not fit, and the effects that mend it; none if only somebody else can."""

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
    if seen.record is None:
        return None if seen.document is None else _judge_orphan(uid, seen, here)
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
    was = "was lost" if document is None else "did not fit the device nodes of now"
    return Finding(
        reason=Reason.DOCUMENT_REWRITTEN,
        detail=f"its CDI document {was} and is written again",
        effects=(Effect.CHECK_NODES, Effect.WRITE_CDI),
        record=record,
        plan=plan,
    )


def _withdraw(reason: Reason, detail: str, document: bytes | None) -> Finding:
    """Takes the document away: its numbers may be another GPU's by now. The record stays and holds the device."""
    return Finding(reason=reason, detail=detail, effects=() if document is None else (Effect.DROP_CDI,))


def _judge_orphan(uid: str, seen: Seen, here: Here) -> Finding | None:
    """A document without a record: its claim is done with, or its record was lost."""
    if not seen.known:
        return None
    if seen.claim is None or not _is_here(uid, seen.claim, here) or not seen.claim.reserved:
        return Finding(
            reason=Reason.DOCUMENT_REMOVED,
            detail=f"the CDI document of claim UID {uid} was nobody's and is removed",
            effects=effects_of(State.ABSENT, Event.UNPREPARE),
        )
    return _rebuild(uid, seen.claim, here)


def _rebuild(uid: str, claim: Claim, here: Here) -> Finding:
    """The record comes last, and at once as READY: for a pod that runs already the kubelet does not ask again.

    Killed before, the document is still without a record, and the next look comes here again.
    """
    try:
        record = plan_claim(claim, uid, node=here.node, listing=here.listing, boot_id=here.boot_id)
        conflict = here.held.find_conflict(record)
        if conflict is not None:
            return Finding(
                reason=Reason.CLAIM_QUARANTINED,
                detail=f"its record was lost, and device {conflict[0]} is prepared for claim UID {conflict[1].uid}",
                effects=(Effect.DROP_CDI,),
            )
        detail = "its record was lost and is made anew from the API server"
        if find_switches(record, here.listing):
            effects: tuple[Effect, ...] = (Effect.SAVE_READY, Effect.DROP_CDI)
            return Finding(reason=Reason.RECORD_REBUILT, detail=detail, effects=effects, record=record)
        plan = plan_record(record, node=here.node, listing=here.listing, dev_root=here.dev_root)
    except DriverError as error:
        return Finding(reason=Reason.CLAIM_QUARANTINED, detail=str(error), effects=(Effect.DROP_CDI,))
    effects = (Effect.CHECK_NODES, Effect.WRITE_CDI, Effect.SAVE_READY)
    return Finding(reason=Reason.RECORD_REBUILT, detail=detail, effects=effects, record=record, plan=plan)


def devices_in(uid: str, document: bytes) -> tuple[str, ...]:
    """Names of the devices in the document of a claim; none where it is not one of ours."""
    try:
        raw = json.loads(document)
    except (ValueError, RecursionError):
        return ()
    devices = raw.get("devices") if isinstance(raw, Mapping) else None
    names = [str(device.get("name")) for device in devices if isinstance(device, Mapping)] if _is_list(devices) else []
    found = (_DEVICE.fullmatch(name.removeprefix(f"{uid}-")) for name in names)
    return tuple(match[1] for match in found if match is not None)


def _is_list(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)


def name_in(document: bytes) -> tuple[str, str] | None:
    """Namespace and name of the claim whose document this is, from the variables of its devices; None if none says."""
    try:
        raw = json.loads(document)
    except (ValueError, RecursionError):
        return None
    devices = raw.get("devices") if isinstance(raw, Mapping) else None
    for device in devices if isinstance(devices, list) else []:
        edits = device.get("containerEdits") if isinstance(device, Mapping) else None
        env = edits.get("env") if isinstance(edits, Mapping) else None
        for word in " ".join(map(str, env if isinstance(env, list) else [])).split():
            namespace, slash, name = word.removeprefix("claim=").partition("/")
            if word.startswith("claim=") and slash and _NAME.fullmatch(namespace) and _NAME.fullmatch(name):
                return namespace, name
    return None

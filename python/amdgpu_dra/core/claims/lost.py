"""What can be said of claims whose records were lost: from their CDI documents, or else from all claims."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from amdgpu_dra.api.checkpoint import HeldDevice, Loaded, Record, State, is_uid
from amdgpu_dra.api.resource import Claim, DeviceResult
from amdgpu_dra.core.claims.guard import Holdings
from amdgpu_dra.core.devices import Listing, NodeDevice
from amdgpu_dra.core.slices import DRIVER

_VARIABLE = "AMD_GPU_"
# Of an object of the API; what a document says goes into a request.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Claims that have to be looked for among all of the API server.

    Attributes:
        uids: those whose records were lost and that have no document.
        all: whether every record was lost, so that any claim of this node may be one.
        released: those that were unprepared meanwhile, and are looked for no more.
    """

    uids: frozenset[str] = frozenset()
    all: bool = False
    released: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return self.all or bool(self.uids)

    def without(self, uid: str) -> "Missing":
        """The same, but for a claim that was unprepared."""
        return replace(self, uids=self.uids - {uid}, released=self.released | {uid})


def take_stock(loaded: Loaded, documents: Mapping[str, bytes], node: str) -> tuple[tuple[Record, ...], Missing]:
    """What a process holds that starts on these records and documents (by UID), and what it has to look for.

    A claim that has a document and no record is held as LOST: it is certain to have the devices of its document, and
    nothing more is.
    """
    found = {uid: record for uid, data in documents.items() if (record := find_record(uid, data, node)) is not None}
    kept = [_with_devices(record, found.get(record.uid)) for record in loaded.records]
    known = {record.uid for record in kept}
    lost = [record for uid, record in found.items() if uid not in known]
    uids = {item.uid for item in loaded.lost if is_uid(item.uid)} - known - found.keys()
    return (*kept, *lost), Missing(uids=frozenset(uids), all=loaded.empty and bool(documents))


def _with_devices(record: Record, lost: Record | None) -> Record:
    """A newer record that does not say which devices it has has those of its document."""
    if record.state != State.NEWER or record.devices or lost is None:
        return record
    return replace(record, namespace=lost.namespace, name=lost.name, devices=lost.devices)


def find_record(uid: str, document: bytes, node: str) -> Record | None:
    """The claim of a document, and its devices, as LOST; None if the document does not say."""
    words = list(_words(document))
    names = [claim.partition("/") for _, facts in words if (claim := facts.get("claim"))]
    name = next(((space, name) for space, _, name in names if _NAME.fullmatch(space) and _NAME.fullmatch(name)), None)
    if name is None:
        return None
    # No claim is given what its document does not name. Whether it looks on as an administrator is not in there.
    devices = (HeldDevice(request=facts.get("request", ""), pool=node, device=device) for device, facts in words)
    return Record(
        uid=uid, namespace=name[0], name=name[1], state=State.LOST, boot_id="", devices=tuple(dict.fromkeys(devices))
    )


def hold_claim(claim: Claim, node: str, listing: Listing) -> Record:
    """A claim as LOST that has no document: it has the devices that it was allocated here, and no more is known.

    An alias stands for the device that has it now.
    """
    ours = (result for result in claim.results or () if result.driver == DRIVER and result.pool == node)
    devices = tuple(_held(result, listing.find_published(result.device)) for result in ours)
    return Record(
        uid=claim.uid, namespace=claim.namespace, name=claim.name, state=State.LOST, boot_id="", devices=devices
    )


def _held(result: DeviceResult, device: NodeDevice | None) -> HeldDevice:
    name = result.device if device is None else device.name
    return HeldDevice(
        request=result.request,
        pool=result.pool,
        device=name,
        admin_access=result.admin_access,
        share_id=result.share_id,
        alias="" if name == result.device else result.device,
    )


def _words(document: bytes) -> Iterator[tuple[str, dict[str, str]]]:
    """Name and facts of each device, from its variable `AMD_GPU_<NAME>=fact=value …`."""
    try:
        raw = json.loads(document)
    except (ValueError, RecursionError):
        return
    devices = raw.get("devices") if isinstance(raw, Mapping) else None
    for device in devices if isinstance(devices, list) else []:
        edits = device.get("containerEdits") if isinstance(device, Mapping) else None
        env = edits.get("env") if isinstance(edits, Mapping) else None
        for text in env if isinstance(env, list) else []:
            variable, _, facts = str(text).partition("=")
            if variable.startswith(_VARIABLE):
                name = f"gpu-{variable.removeprefix(_VARIABLE).lower().replace('_', '-')}"
                yield name, {key: value for key, _, value in (word.partition("=") for word in facts.split())}


def name_in(document: bytes) -> tuple[str, str] | None:
    """Namespace and name of the claim whose document this is; None if it does not say."""
    record = find_record("", document, "")
    return None if record is None else (record.namespace, record.name)


def is_missing(claim: Claim, missing: Missing, node: str, held: Holdings) -> bool:
    """Whether a claim is one of those that are looked for: it has devices of this node, and pods have it."""
    ours = any(result.driver == DRIVER and result.pool == node for result in claim.results or ())
    wanted = claim.uid in missing.uids or (missing.all and claim.uid not in missing.released)
    return ours and claim.reserved and wanted and claim.uid not in held

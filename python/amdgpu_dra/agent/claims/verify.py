"""`Verifier`: looks whether what is kept of each claim still fits the node and the API, and mends it."""

import asyncio
import logging
from collections import Counter

from amdgpu_dra.agent.claims.manager import ClaimManager, Paths, World
from amdgpu_dra.agent.claims.survey import Survey
from amdgpu_dra.agent.ports import Events
from amdgpu_dra.api.checkpoint import Record, State
from amdgpu_dra.api.errors import DriverError, NotReadyError
from amdgpu_dra.api.reasons import Reason
from amdgpu_dra.api.resource import Claim
from amdgpu_dra.core.claims import Finding, Here, Holdings, Missing, Seen, is_missing, judge, name_in
from amdgpu_dra.core.devices import Listing

_LOG = logging.getLogger("claims")
# A whole look costs the API server one GET for each claim of the node; a Prepare mends its own claim at once. Ten
# minutes are a tenth of a request a second from a node of 64 claims.
_EVERY = 600.0
# While records cannot be read, or a lost claim could not be asked about or made anew.
_SOON = 5.0


class Verifier:
    """Looks at start, and every ten minutes.

    Attributes:
        count: findings by reason, since the start.
    """

    def __init__(self, paths: Paths, world: World, survey: Survey, claims: ClaimManager, events: Events) -> None:
        self._paths, self._world, self._survey, self._claims, self._events = paths, world, survey, claims, events
        self._told: dict[str, str] = {}
        self._waits = False
        self.count: Counter[Reason] = Counter()

    @property
    def unsettled(self) -> bool:
        """Whether the last look found something that only a change of the node can mend."""
        return bool(self._told)

    async def run(self) -> None:
        """Looks until it is cancelled. The first look is at once, beside serving."""
        await self._wait_for_records()
        for lost in self._claims.lost:
            text = f"record {lost.file!r} of claim UID {lost.uid} is lost: {lost.why}"
            _LOG.error("%s", text, extra={"facts": {"reason": str(Reason.RECORD_LOST)}})
            self._tell(Reason.RECORD_LOST, text)
        boots = {record.boot_id for record in self._claims.records} - {self._paths.boot_id}
        if boots:
            _LOG.warning("the node has started anew since claims were prepared (boot %s)", ", ".join(sorted(boots)))
        while True:
            await self.look()
            await self._world.clock.sleep(_SOON if self._waits or self._claims.blind else _EVERY)

    async def _wait_for_records(self) -> None:
        while self._claims.not_ready:
            self._tell(Reason.RECORDS_UNREADABLE, self._claims.not_ready)
            await self._world.clock.sleep(_SOON)
            await asyncio.to_thread(self._claims.load)

    async def look(self) -> None:
        """One look at every claim that has a record or a document. What fails is logged, and tried at the next look."""
        if self._claims.not_ready:
            return
        try:
            listing = await self._survey.refresh()
            documents = await asyncio.to_thread(self._world.cdi.claims)
        except DriverError as error:
            _LOG.error("claims are not verified: %s", error)
            return
        self._waits = False
        # First, since others wait for it.
        await self._search(listing)
        records = self._claims.records
        names = {record.uid: (record.namespace, record.name) for record in records}
        lost = {record.uid for record in records if record.state == State.LOST}
        uids = dict.fromkeys([*names, *documents])
        self._told = {uid: text for uid, text in self._told.items() if uid in uids}
        for uid in uids:
            # The API server may take its time: it is asked outside of the claim's turn. A UID that is gone stays gone.
            name = names.get(uid) or await self._name_in_document(uid)
            answer = (False, None) if name is None else await self._ask(*name)
            self._waits |= uid in lost and not answer[0]
            await self._look_at(uid, name, answer, listing)

    async def _search(self, listing: Listing) -> None:
        """Looks for claims of which neither record nor document is left among all claims of the API server."""
        missing, node = self._claims.missing, self._paths.node
        if not missing:
            return
        held = Holdings(self._claims.records)
        try:
            listed = self._world.api.list_claims()
            found = [claim async for claim in listed if is_missing(claim, missing, node, held)]
        except NotReadyError as error:
            _LOG.info("lost claims are not looked for: %s", error)
            self._waits = True
            return
        except DriverError as error:
            # The kubelet knows them, and asks again for pods that start; there is no sense in making all others wait.
            self._claims.blind = False
            _LOG.error("lost claims are not looked for: %s", error)
            self._tell(Reason.CLAIMS_NOT_LISTED, str(error))
            return
        mended = [
            await self._look_at(claim.uid, (claim.namespace, claim.name), (True, claim), listing) for claim in found
        ]
        # What cannot be written down now holds its devices for nobody: it is tried again before others are served.
        self._claims.blind = not all(mended)
        gone = missing.uids - {claim.uid for claim in found}
        mended += [await self._look_at(uid, None, (True, None), listing) for uid in sorted(gone)]
        if all(mended):
            self._claims.missing = Missing()

    async def _look_at(
        self, uid: str, name: tuple[str, str] | None, answer: tuple[bool, Claim | None], listing: Listing
    ) -> bool:
        """Mends one claim, if the world lets it; `answer` is what `_ask` gives."""
        known, claim = answer

        def decide(record: Record | None, document: bytes | None, held: Holdings) -> Finding | None:
            paths, now = self._paths, self._survey.listing or listing
            here = Here(node=paths.node, boot_id=paths.boot_id, dev_root=paths.dev_root, listing=now, held=held)
            if record is not None and name is None:
                # The kubelet has asked for it meanwhile.
                return None
            all_missing = self._claims.missing
            missing = uid in all_missing.uids if claim is None else is_missing(claim, all_missing, paths.node, held)
            seen = Seen(record=record, missing=missing, document=document, known=known, claim=claim)
            return judge(uid, seen, here)

        try:
            finding = await self._claims.mend(uid, decide)
        except DriverError as error:
            _LOG.error("claim UID %s is not verified: %s", uid, error)
            return False
        if finding is None:
            self._told.pop(uid, None)
        elif finding.effects or self._told.get(uid) != finding.detail:
            self._tell_finding(uid, name, finding)
        return True

    async def _name_in_document(self, uid: str) -> tuple[str, str] | None:
        try:
            document = await asyncio.to_thread(self._world.cdi.read, uid)
        except DriverError as error:
            _LOG.error("claim UID %s is not verified: %s", uid, error)
            return None
        return None if document is None else name_in(document)

    async def _ask(self, namespace: str, name: str) -> tuple[bool, Claim | None]:
        """Whether the API server answered, and the claim."""
        try:
            return True, await self._world.api.find_claim(namespace, name)
        except DriverError as error:
            _LOG.info("verified without the API server: %s", error)
            return False, None

    def _tell_finding(self, uid: str, name: tuple[str, str] | None, finding: Finding) -> None:
        self._told[uid] = finding.detail
        where = f"claim {name[0]}/{name[1]}" if name else f"claim UID {uid}"
        _LOG.warning("%s: %s", where, finding.detail, extra={"facts": {"reason": str(finding.reason)}})
        # An Event beside a claim that is gone would be seen by nobody: those are told beside the node.
        gone = name is None or finding.reason in (Reason.CLAIM_GONE, Reason.DOCUMENT_REMOVED)
        beside = None if name is None or gone else (*name, uid)
        self._tell(finding.reason, f"{where}: {finding.detail}", beside)

    def _tell(self, reason: Reason, text: str, beside: tuple[str, str, str] | None = None) -> None:
        """Counts it, and makes an Event of it, on a claim or else on the node."""
        self.count[reason] += 1
        self._events.emit(reason, text, claim=beside)

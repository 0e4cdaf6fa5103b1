"""`Verifier`: looks whether what is kept of each claim still fits the node and the API, and mends it."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping

from amdgpu_dra.agent.claims.manager import ClaimManager, Paths, World
from amdgpu_dra.agent.claims.survey import Survey
from amdgpu_dra.agent.ports import Events
from amdgpu_dra.api.checkpoint import Record, State
from amdgpu_dra.api.errors import DriverError, HostError, NotReadyError
from amdgpu_dra.api.logs import facts
from amdgpu_dra.api.reasons import Reason
from amdgpu_dra.api.resource import Claim, ObjectRef
from amdgpu_dra.core.claims import Finding, Here, Holdings, Missing, Seen, is_missing, judge, name_in
from amdgpu_dra.core.devices import Listing

_LOG = logging.getLogger("claims")
# A whole look costs the API server one GET for each claim of the node; a Prepare mends its own claim at once. Ten
# minutes are a tenth of a request a second from a node of 64 claims.
EVERY = 600.0
# While records cannot be read, or a lost claim could not be asked about or made anew.
_SOON = 5.0
# Beside another instance: whether it still runs.
_ASK_AGAIN = 5.0
# Findings that leave a claim without its document: its pod has lost its devices, or is about to.
_WITHDRAWN = frozenset({Reason.CLAIM_QUARANTINED, Reason.MODE_LOST})


class Verifier:
    """Looks at start, and every ten minutes.

    Attributes:
        on_finding: told of each finding.
        on_withdrawn: told after each look which devices of claims are not to be had, and why, by name.
        quarantined: how many claims are.
    """

    def __init__(self, paths: Paths, world: World, survey: Survey, claims: ClaimManager, events: Events) -> None:
        self._paths, self._world, self._survey, self._claims, self._events = paths, world, survey, claims, events
        self._told: dict[str, str] = {}
        self._withdrawn: dict[str, Finding] = {}
        self._waits = False
        # Of the look that goes on: whether all claims that have something here are known.
        self._complete = False
        self._rested = False
        # What the instances had written when this one was last seen to be alone.
        self._version: bytes | None = None
        self.on_finding: Callable[[Reason], None] = lambda _: None
        self.on_withdrawn: Callable[[Mapping[str, str]], None] = lambda _: None

    @property
    def unsettled(self) -> bool:
        """Whether the last look found something that only a change of the node can mend."""
        return bool(self._told)

    @property
    def quarantined(self) -> int:
        """See the class."""
        return sum(finding.reason == Reason.CLAIM_QUARANTINED for finding in self._withdrawn.values())

    async def run(self) -> None:
        """Looks until it is cancelled. The first look is at once, beside serving.

        Of two instances the newer one looks: what one writes the other might find wanting, if their versions differ.
        """
        await self._wait_for_records()
        for lost in self._claims.lost:
            text = f"record {lost.file!r} of claim UID {lost.uid} is lost: {lost.why}"
            _LOG.error("%s", text, extra=facts(reason=str(Reason.RECORD_LOST)))
            self._tell(Reason.RECORD_LOST, text)
        # Of a lost record, or a newer driver's, no boot is known.
        boots = {record.boot_id for record in self._claims.records} - {self._paths.boot_id, ""}
        if boots:
            _LOG.warning("the node has started anew since claims were prepared (boot %s)", ", ".join(sorted(boots)))
        while True:
            leads = self._world.instances.leads
            if leads:
                await self.look()
            await self._world.clock.sleep(self._pause(leads=leads))

    async def run_after_others(self) -> None:
        """Looks when another instance has gone, until it is cancelled: it may not have brought its GPUs to rest."""
        self._is_left()
        while True:
            await self._world.clock.sleep(_ASK_AGAIN)
            if self._is_left():
                _LOG.info("another instance of the plugin has gone")
                self._rested = False
                await self.look(ask=False)

    def _is_left(self) -> bool:
        """Whether no other instance runs, and one did since this was last so."""
        if not self._world.instances.alone:
            return False
        try:
            before, self._version = self._version, self._world.instances.get_version()
        except HostError as error:
            _LOG.error("%s", error)
            return False
        return self._version != before

    def _pause(self, *, leads: bool) -> float:
        if not leads:
            return _ASK_AGAIN
        return _SOON if self._waits or self._claims.blind else EVERY * (0.5 + self._world.clock.jitter())

    async def _wait_for_records(self) -> None:
        while self._claims.not_ready:
            self._tell(Reason.RECORDS_UNREADABLE, self._claims.not_ready)
            await self._world.clock.sleep(_SOON)
            await asyncio.to_thread(self._claims.load)

    async def look(self, *, ask: bool = True) -> None:
        """One look at every claim that has a record or a document. What fails is logged, and tried at the next look.

        `ask`: whether the API server is asked for each of them. Without it only records, documents and the node are
        compared: what a change of the node calls for.
        """
        if self._claims.not_ready:
            return
        try:
            listing = await self._survey.refresh()
            documents = await asyncio.to_thread(self._world.cdi.claims)
        except DriverError as error:
            _LOG.error("claims are not verified: %s", error)
            return
        if ask:
            self._waits = False
            # First, since others wait for it.
            await self._search(listing)
        self._complete = not self._claims.missing
        records = self._claims.records
        names = {record.uid: (record.namespace, record.name) for record in records}
        lost = {record.uid for record in records if record.state == State.LOST}
        uids = dict.fromkeys([*names, *documents])
        self._told = {uid: text for uid, text in self._told.items() if uid in uids}
        self._withdrawn = {uid: finding for uid, finding in self._withdrawn.items() if uid in uids}
        for uid in uids:
            # The API server may take its time: it is asked outside of the claim's turn. A UID that is gone stays gone.
            name = names.get(uid) or await self._name_in_document(uid)
            answer = (False, None) if name is None or not ask else await self._ask(*name)
            self._waits |= ask and uid in lost and not answer[0]
            try:
                self._complete &= await self._look_at(uid, name, answer, listing)
            except Exception:  # noqa: BLE001 - see below
                # One claim's defect is no reason to leave the others unmended, nor to end the process.
                _LOG.exception("claim UID %s is not verified", uid)
                self._complete = False
        _LOG.debug("verified %d claims", len(uids))
        self.on_withdrawn(dict(self._withdrawn_devices()))
        if self._complete and not self._rested:
            # Who was killed between the end of a claim and its GPU's return to the idle mode has left it on its way.
            self._rested = True
            self._claims.rest_free()

    def _withdrawn_devices(self) -> Iterator[tuple[str, str]]:
        """Admin access has no device to itself: what is wrong with its claim is not told of the device."""
        for record in self._claims.records:
            finding = self._withdrawn.get(record.uid)
            for held in record.devices if finding is not None else ():
                if not held.admin_access and finding is not None:
                    where = f"claim {record.namespace}/{record.name}"
                    yield held.published, f"{where}: {finding.reason}: {_without(where, finding.detail)}"

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
            # One whose device another claim has by now: its record is still there.
            left = (uid for uid in missing.uids - gone if not self._claims.holds(uid))
            self._claims.missing = Missing(uids=frozenset(left) - self._claims.missing.released)

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
        self._complete &= known or self._claims.holds(uid)
        if finding is None or finding.reason not in _WITHDRAWN:
            self._withdrawn.pop(uid, None)
        else:
            self._withdrawn[uid] = finding
        if finding is None:
            self._told.pop(uid, None)
        elif finding.effects or self._told.get(uid) != finding.detail:
            self._tell_finding(uid, name, finding, await self._find_pods(uid, name, claim, finding))
        return True

    async def _find_pods(
        self, uid: str, name: tuple[str, str] | None, claim: Claim | None, finding: Finding
    ) -> tuple[ObjectRef, ...]:
        """Who is told beside the claim: the pods that run with what is withdrawn."""
        if name is None or finding.reason not in _WITHDRAWN:
            return ()
        pods = claim.pods if claim is not None else self._claims.find_pods(uid)
        if pods is None:
            _, claim = await self._ask(*name)
            pods = claim.pods if claim is not None and claim.uid == uid else ()
        return pods

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

    def _tell_finding(
        self, uid: str, name: tuple[str, str] | None, finding: Finding, pods: tuple[ObjectRef, ...]
    ) -> None:
        self._told[uid] = finding.detail
        where = f"claim {name[0]}/{name[1]}" if name else f"claim UID {uid}"
        text = f"{where}: {_without(where, finding.detail)}"
        _LOG.warning("%s", text, extra=facts(claim=where.removeprefix("claim "), reason=str(finding.reason)))
        # An Event beside a claim that is gone would be seen by nobody: those are told beside the node.
        gone = name is None or finding.reason in (Reason.CLAIM_GONE, Reason.DOCUMENT_REMOVED)
        beside = None if name is None or gone else (*name, uid)
        self._tell(finding.reason, text, beside, pods)

    def _tell(
        self,
        reason: Reason,
        text: str,
        beside: tuple[str, str, str] | None = None,
        pods: tuple[ObjectRef, ...] = (),
    ) -> None:
        """Counts it, and makes an Event of it, on a claim and its pods or else on the node."""
        self.on_finding(reason)
        self._events.emit(reason, text, claim=beside, pods=pods)


def _without(where: str, detail: str) -> str:
    """An error of a claim begins with where it is, as the line in which it is told does."""
    return detail.removeprefix(f"{where}: ")

"""`Verifier`: looks whether what is kept of each claim still fits the node and the API, and mends it."""

import asyncio
import logging
from collections import Counter

from amdgpu_dra.agent.claims.manager import ClaimManager, Paths, World
from amdgpu_dra.agent.claims.survey import Survey
from amdgpu_dra.agent.ports import Events
from amdgpu_dra.api.checkpoint import Record
from amdgpu_dra.api.errors import DriverError
from amdgpu_dra.api.reasons import Reason
from amdgpu_dra.api.resource import Claim
from amdgpu_dra.core.claims import Finding, Here, Holdings, Seen, judge, name_in
from amdgpu_dra.core.devices import Listing

_LOG = logging.getLogger("claims")
# A whole look costs the API server one GET for each claim of the node; a Prepare mends its own claim at once. Ten
# minutes are a tenth of a request a second from a node of 64 claims.
_EVERY = 600.0


class Verifier:
    """Looks at start, and every ten minutes.

    Attributes:
        count: findings by reason, since the start.
    """

    def __init__(self, paths: Paths, world: World, survey: Survey, claims: ClaimManager, events: Events) -> None:
        self._paths, self._world, self._survey, self._claims, self._events = paths, world, survey, claims, events
        self._told: dict[str, str] = {}
        self.count: Counter[Reason] = Counter()

    @property
    def unsettled(self) -> bool:
        """Whether the last look found something that only a change of the node can mend."""
        return bool(self._told)

    async def run(self) -> None:
        """Looks until it is cancelled. The first look is at once, beside serving."""
        boots = {record.boot_id for record in self._claims.records} - {self._paths.boot_id}
        if boots:
            _LOG.warning("the node has started anew since claims were prepared (boot %s)", ", ".join(sorted(boots)))
        while True:
            await self.look()
            await self._world.clock.sleep(_EVERY)

    async def look(self) -> None:
        """One look at every claim that has a record or a document. What fails is logged, and tried at the next look."""
        try:
            listing = await self._survey.refresh()
            documents = await asyncio.to_thread(self._world.cdi.claims)
        except DriverError as error:
            _LOG.error("claims are not verified: %s", error)
            return
        names = {record.uid: (record.namespace, record.name) for record in self._claims.records}
        uids = dict.fromkeys([*names, *documents])
        self._told = {uid: text for uid, text in self._told.items() if uid in uids}
        for uid in uids:
            try:
                await self._look_at(uid, names.get(uid) or await self._name_in_document(uid), listing)
            except DriverError as error:
                _LOG.error("claim UID %s is not verified: %s", uid, error)
            except Exception:  # noqa: BLE001 - see below
                # One claim's defect is no reason to leave the others unmended, nor to end the process.
                _LOG.exception("claim UID %s is not verified", uid)

    async def _look_at(self, uid: str, name: tuple[str, str] | None, listing: Listing) -> None:
        # The API server may take its time: it is asked outside of the claim's turn. A UID that is gone stays gone.
        known, claim = (False, None) if name is None else await self._ask(*name)

        def decide(record: Record | None, document: bytes | None, held: Holdings) -> Finding | None:
            paths, now = self._paths, self._survey.listing or listing
            here = Here(node=paths.node, boot_id=paths.boot_id, dev_root=paths.dev_root, listing=now, held=held)
            return judge(uid, Seen(record=record, document=document, known=known, claim=claim), here)

        finding = await self._claims.mend(uid, decide)
        if finding is None:
            self._told.pop(uid, None)
        elif finding.effects or self._told.get(uid) != finding.detail:
            self._tell(uid, name, finding)

    async def _name_in_document(self, uid: str) -> tuple[str, str] | None:
        document = await asyncio.to_thread(self._world.cdi.read, uid)
        return None if document is None else name_in(document)

    async def _ask(self, namespace: str, name: str) -> tuple[bool, Claim | None]:
        """Whether the API server answered, and the claim."""
        try:
            return True, await self._world.api.find_claim(namespace, name)
        except DriverError as error:
            _LOG.info("verified without the API server: %s", error)
            return False, None

    def _tell(self, uid: str, name: tuple[str, str] | None, finding: Finding) -> None:
        self._told[uid] = finding.detail
        self.count[finding.reason] += 1
        where = f"claim {name[0]}/{name[1]}" if name else f"claim UID {uid}"
        _LOG.warning("%s: %s", where, finding.detail, extra={"facts": {"reason": str(finding.reason)}})
        # An Event beside a claim that is gone would be seen by nobody: those are told beside the node.
        gone = name is None or finding.reason in (Reason.CLAIM_GONE, Reason.DOCUMENT_REMOVED)
        beside = None if name is None or gone else (*name, uid)
        self._events.emit(finding.reason, f"{where}: {finding.detail}", claim=beside)

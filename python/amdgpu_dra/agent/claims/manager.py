"""`ClaimManager`: one per process."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace

from amdgpu_dra.agent.claims.survey import Survey
from amdgpu_dra.agent.claims.switcher import Switcher
from amdgpu_dra.agent.claims.turns import Turns
from amdgpu_dra.agent.ports import CdiFolder, ClaimApi, Clock, DeviceNodes, RecordStore
from amdgpu_dra.api.checkpoint import Record, State
from amdgpu_dra.api.errors import ClaimError, DriverError, HostError
from amdgpu_dra.core.claims import (
    Effect,
    Event,
    Finding,
    Holdings,
    Plan,
    PlannedDevice,
    effects_of,
    find_switches,
    plan_claim,
    plan_record,
    split_name,
)
from amdgpu_dra.core.devices import Listing, device_name
from amdgpu_dra.core.gpu import PciAddress

_LOG = logging.getLogger("claims")
# The kubelet gives a call 45 s (PluginClientTimeout); an answer has to be on its way before.
_PATIENCE = 40.0


@dataclass(frozen=True, slots=True)
class ClaimRef:
    """What the kubelet says of a claim."""

    uid: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the kubelet is told: devices, or an error."""

    devices: tuple[PlannedDevice, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Names of this node that plans need."""

    node: str
    dev_root: str
    boot_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What prepares and unprepares are carried out on."""

    api: ClaimApi
    nodes: DeviceNodes
    store: RecordStore
    cdi: CdiFolder
    clock: Clock


class ClaimManager:
    """Prepares and unprepares claims.

    Calls for one claim wait for each other; claims on different devices run side by side. The records are kept in
    memory and written through to the store, so that a call costs the same however many claims there are.
    """

    def __init__(self, paths: Paths, world: World, survey: Survey, switcher: Switcher) -> None:
        self._paths, self._survey, self._switcher = paths, survey, switcher
        self._api, self._nodes, self._store, self._cdi = world.api, world.nodes, world.store, world.cdi
        self._clock = world.clock
        self._held = Holdings()
        self._turns = Turns()
        switcher.is_free = self._is_free

    def _is_free(self, address: PciAddress) -> bool:
        return self._held.is_free(device_name(address, None, 0))

    def load(self) -> list[Record]:
        """Takes over what an earlier process kept; call it once, before serving. Raises HostError."""
        self._held = Holdings(self._store.load())
        return list(self._held)

    @property
    def records(self) -> list[Record]:
        """The claims that are held now."""
        return list(self._held)

    async def prepare(self, refs: Iterable[ClaimRef]) -> dict[str, Answer]:
        """An answer for each claim; one that fails takes no other with it."""
        return await self._each(refs, self._prepare)

    async def unprepare(self, refs: Iterable[ClaimRef]) -> dict[str, Answer]:
        """An answer for each claim; one that nobody knows is a success."""
        return await self._each(refs, self._unprepare)

    async def mend(
        self, uid: str, judge: Callable[[Record | None, bytes | None, Holdings], Finding | None]
    ) -> Finding | None:
        """Lets `judge` look at a claim's record and document within its turn, and carries out what it finds.

        Raises:
            HostError: an effect, or the document, cannot be had.
        """
        async with self._turns.take(uid):
            document = await asyncio.to_thread(self._cdi.read, uid)
            kept = self._held.find(uid)
            finding = judge(kept, document, self._held)
            if finding is None or not finding.effects:
                return finding
            if kept is None and finding.record is not None:
                # With no wait since the check for conflicts, as in `_admit`.
                self._held.put(finding.record)
            try:
                await self._carry_out(finding.effects, finding.record, finding.plan, uid=uid)
            finally:
                if kept is None and self._held.find(uid) is finding.record:
                    self._held.drop(uid)
            if kept is not None and self._held.find(uid) is None:
                self._rest(kept)
            return finding

    async def _each(
        self, refs: Iterable[ClaimRef], call: Callable[[ClaimRef], Awaitable[tuple[PlannedDevice, ...]]]
    ) -> dict[str, Answer]:
        async def one(ref: ClaimRef) -> Answer:
            try:
                _check(ref)
                async with self._turns.take(ref.uid):
                    return Answer(devices=await call(ref))
            except DriverError as error:
                return Answer(error=str(error))
            except Exception as error:  # noqa: BLE001 - one claim's defect is no reason to fail the others
                _LOG.exception("claim %s/%s", ref.namespace, ref.name)
                return Answer(error=f"claim {ref.namespace}/{ref.name}: internal error {error!r}; see the plugin's log")

        unique = {ref.uid: ref for ref in refs}
        answers = await asyncio.gather(*(one(ref) for ref in unique.values()))
        return dict(zip(unique, answers, strict=True))

    async def _prepare(self, ref: ClaimRef) -> tuple[PlannedDevice, ...]:
        until = self._clock.now() + _PATIENCE
        kept = self._held.find(ref.uid)
        state = State.ABSENT if kept is None else kept.state
        effects = effects_of(state, Event.PREPARE)
        if kept is not None and state == State.READY:
            return await self._make_ready(effects, kept, await self._survey.get_listing(), until)
        record, listing = await self._admit(ref)
        try:
            return await self._make_ready(effects, record, listing, until)
        finally:
            # What is saved is another object: this one is there only if nothing was written.
            if self._held.find(ref.uid) is record:
                self._put_back(ref.uid, kept)

    def _put_back(self, uid: str, kept: Record | None) -> None:
        """Undoes the hold of a claim of which nothing was written."""
        if kept is None:
            self._held.drop(uid)
        else:
            self._held.put(kept)

    async def _admit(self, ref: ClaimRef) -> tuple[Record, Listing]:
        """Fetches and checks the claim, and holds its devices from here on."""
        claim = await self._api.get_claim(ref.namespace, ref.name)
        listing = await self._fresh_listing({result.device for result in claim.results or ()})
        record = plan_claim(claim, ref.uid, node=self._paths.node, listing=listing, boot_id=self._paths.boot_id)
        conflict = self._held.find_conflict(record)
        if conflict is not None:
            device, other = conflict
            raise ClaimError(
                f"claim {ref.namespace}/{ref.name}",
                expected=f"device {device} to be free",
                found=f"it is prepared for claim {other.namespace}/{other.name} (UID {other.uid})"
                + _modes(device, other),
                action="wait until the pods of that claim are gone; if that claim no longer exists, restart the plugin",
            )
        # Held from here on, with no wait since the check: a second claim on its device meets it.
        self._held.put(record)
        return record, listing

    async def _fresh_listing(self, names: set[str]) -> Listing:
        """The devices as last read; read again if KFD has changed, or one of these is not among them."""
        listing = await self._survey.get_listing()
        if any(listing.find(name) is None for name in names):
            return await self._survey.refresh()
        return listing

    async def _settle(self, record: Record, listing: Listing, until: float) -> Listing:
        """Waits for switches that take the claim's GPUs elsewhere: to the idle mode, or where admin access looks on."""
        where = f"claim {record.namespace}/{record.name}"
        waited = False
        for held in record.devices:
            device = listing.find(held.device)
            if device is not None:
                mode = None if held.admin_access else device.mode
                waited |= await self._switcher.settle(device.gpu.address, mode, where=where, until=until)
        if waited or any(listing.find(held.device) is None for held in record.devices):
            return await self._survey.refresh()
        return listing

    async def _make_ready(
        self, effects: tuple[Effect, ...], record: Record, listing: Listing, until: float
    ) -> tuple[PlannedDevice, ...]:
        """Carries out the effects of a Prepare: in one go, unless a GPU has to be switched in between."""
        listing = await self._settle(record, listing, until)
        switches = find_switches(record, listing)
        if switches:
            at = effects.index(Effect.SWITCH_MODE)
            await self._carry_out(effects[:at], record, None)
            effects = effects[at:]
            where = f"claim {record.namespace}/{record.name}"
            bring = (self._switcher.bring(switch, where=where, until=until) for switch in switches)
            # All are waited for: an error of one GPU shall not leave a call behind that waits for another.
            for error in await asyncio.gather(*bring, return_exceptions=True):
                if error is not None:
                    raise error
        plan = plan_record(
            record,
            node=self._paths.node,
            listing=await self._survey.get_listing() if switches else listing,
            dev_root=self._paths.dev_root,
        )
        await self._carry_out(effects, record, plan)
        return plan.devices

    async def _unprepare(self, ref: ClaimRef) -> tuple[PlannedDevice, ...]:
        record = self._held.find(ref.uid)
        state = State.ABSENT if record is None else record.state
        await self._carry_out(effects_of(state, Event.UNPREPARE), record, None, uid=ref.uid)
        self._rest(record)
        return ()

    def _rest(self, record: Record | None) -> None:
        """Lets go of the claim's GPUs; what comes of that is nobody's wait."""
        devices = [] if record is None else [held for held in record.devices if not held.admin_access]
        known = self._survey.listing
        found = (known.find(held.device) for held in devices) if known is not None else ()
        self._switcher.rest({device.gpu.address for device in found if device is not None})

    async def _carry_out(
        self, effects: tuple[Effect, ...], record: Record | None, plan: Plan | None, *, uid: str = ""
    ) -> None:
        """Does the effects in one go of a thread, and keeps the outcome in memory even if the caller has gone."""
        work = asyncio.ensure_future(asyncio.to_thread(self._do_all, effects, record, plan, uid))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            # The kubelet gave up; the lock is kept until the effects are done, and the next call finds their outcome.
            await asyncio.wait([work])
            raise

    def _do_all(self, effects: tuple[Effect, ...], record: Record | None, plan: Plan | None, uid: str) -> None:
        for effect in effects:
            self._do(effect, record, plan, record.uid if record is not None else uid)

    def _do(self, effect: Effect, record: Record | None, plan: Plan | None, uid: str) -> None:
        match effect:
            case Effect.SAVE_PREPARING | Effect.SAVE_READY:
                self._save(_need(record), _STATES[effect])
            case Effect.SAVE_UNPREPARING:
                self._save_unpreparing(_need(record))
            case Effect.SWITCH_MODE:
                # Done by the switcher before; nothing is left for the thread.
                pass
            case Effect.CHECK_NODES:
                for node in _need(plan).nodes:
                    self._nodes.check(node)
            case Effect.WRITE_CDI:
                self._cdi.write(uid, _need(plan).spec)
            case Effect.DROP_CDI:
                self._cdi.remove(uid)
            case Effect.DROP_RECORD:
                self._store.drop(uid)
                self._held.drop(uid)

    def _save_unpreparing(self, record: Record) -> None:
        """Saves the intent, or goes on without it: on a full disk a pod must end, and what follows makes room.

        What is kept then says Ready until the record is dropped, and an Unprepare of that has the same effects.
        """
        try:
            self._save(record, State.UNPREPARING)
        except HostError as error:
            _LOG.warning("claim %s/%s: unprepared all the same: %s", record.namespace, record.name, error)

    def _save(self, record: Record, state: str) -> None:
        kept = replace(record, state=state)
        self._store.save(kept)
        self._held.put(kept)


_STATES = {
    Effect.SAVE_PREPARING: State.PREPARING,
    Effect.SAVE_READY: State.READY,
}


def _modes(device: str, other: Record) -> str:
    """Both modes, if it is another mode of the GPU that stands in the way."""
    gpu, mode = split_name(device)
    theirs = {split_name(held.device)[1] for held in other.devices if split_name(held.device)[0] == gpu} - {mode}
    return f", which has its GPU in mode {', '.join(sorted(theirs))}, not {mode}" if theirs else ""


_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,126}")


def _check(ref: ClaimRef) -> None:
    """Refuses a UID that could not be part of a file's name."""
    if not _UID.fullmatch(ref.uid):
        raise ClaimError(
            f"claim {ref.namespace}/{ref.name}",
            expected="a UID of letters, digits, '-', '_' and '.'",
            found=repr(ref.uid),
            action="report this: the kubelet sends UIDs of the API server",
        )


def _need[T](value: T | None) -> T:
    """A value that the table's effects cannot do without."""
    if value is None:
        raise HostError(
            "claim machine", expected="a record and a plan", found="none", action="report this: it is a defect"
        )
    return value

"""`ClaimManager`: one per process."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from amdgpu_dra.agent.claims.ledger import PATIENCE, Ledger, gpus_of
from amdgpu_dra.agent.claims.survey import Survey
from amdgpu_dra.agent.claims.switcher import Switcher
from amdgpu_dra.agent.ports import CdiFolder, ClaimApi, Clock, DeviceNodes, Instances, RecordStore
from amdgpu_dra.api.checkpoint import LostRecord, Record, State, is_uid
from amdgpu_dra.api.errors import ClaimError, DriverError, HostError, NotReadyError
from amdgpu_dra.api.resource import ObjectRef
from amdgpu_dra.core.claims import (
    Effect,
    Event,
    Finding,
    Holdings,
    Missing,
    Plan,
    PlannedDevice,
    carry_over,
    effects_of,
    find_switches,
    newer_error,
    plan_claim,
    plan_record,
    split_name,
    take_stock,
)
from amdgpu_dra.core.devices import Listing, device_name
from amdgpu_dra.core.gpu import PciAddress

_LOG = logging.getLogger("claims")


@dataclass(frozen=True, slots=True)
class ClaimRef:
    """What the kubelet says of a claim."""

    uid: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the kubelet is told: devices, or an error.

    Attributes:
        cause: the error, unless it is a defect of ours.
        pods: who has the claim; None if the claim was not read since the start.
    """

    devices: tuple[PlannedDevice, ...] = ()
    error: str = ""
    cause: DriverError | None = None
    pods: tuple[ObjectRef, ...] | None = None


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
    instances: Instances


class ClaimManager:
    """Prepares and unprepares claims.

    Calls for one claim wait for each other, in whichever instance of the plugin; claims on different devices run side
    by side. The records are kept in memory and written through to the store, so that a call costs the same however many
    claims there are.

    Attributes:
        not_ready: why nothing is known of earlier claims, so that no call is served; empty once they are known.
        lost: records that were there and could not be read.
        missing: claims that are looked for among all of the API server, since neither record nor document was left.
        blind: whether these may hold devices of which nothing is known, so that no other is handed out.
    """

    def __init__(self, paths: Paths, world: World, survey: Survey, switcher: Switcher) -> None:
        self._paths, self._survey, self._switcher = paths, survey, switcher
        self._api, self._nodes, self._cdi = world.api, world.nodes, world.cdi
        self._clock, self._store, self._instances = world.clock, world.store, world.instances
        self._ledger = Ledger(world.store, world.instances, world.clock)
        self._pods: dict[str, tuple[ObjectRef, ...]] = {}
        self.not_ready = ""
        self.lost: tuple[LostRecord, ...] = ()
        self.missing = Missing()
        self.blind = False
        switcher.is_free = self._is_free
        switcher.confirm_free = self._confirm_free

    @property
    def _held(self) -> Holdings:
        return self._ledger.held

    def _is_free(self, address: PciAddress) -> bool:
        return not self.not_ready and not self.blind and self._held.is_free(device_name(address, None, 0))

    async def _confirm_free(self, address: PciAddress) -> bool:
        """The same among all instances; one that has begun to prepare a claim there is waited for."""
        gpu = device_name(address, None, 0)
        async with self._ledger.deciding(f"GPU {address}", [gpu]):
            return self._held.is_free(gpu)

    def load(self) -> list[Record]:
        """Takes over what an earlier process kept; call it before serving, and again while it leaves `not_ready`."""
        try:
            loaded = self._ledger.read()
            for kept in (self._store, self._cdi):
                kept.sweep(self._ledger.is_idle)
            known = {record.uid for record in loaded.records if record.devices}
            uids = [uid for uid in self._cdi.claims() if uid not in known]
            documents = {uid: data for uid in uids if (data := self._cdi.read(uid)) is not None}
        except HostError as error:
            _LOG.error("%s", error)
            self.not_ready = str(error)
            return []
        records, self.missing = take_stock(loaded, documents, self._paths.node)
        self.lost, self.blind = loaded.lost, bool(self.missing)
        self._ledger.take_over(records)
        self.not_ready = ""
        return list(records)

    @property
    def records(self) -> list[Record]:
        """The claims that are held now."""
        return list(self._held)

    def find_pods(self, uid: str) -> tuple[ObjectRef, ...] | None:
        """The pods that had a claim when it was read; None if it was not read since the start."""
        return self._pods.get(uid)

    def holds(self, uid: str) -> bool:
        """Whether a claim of this UID is held."""
        return self._held.find(uid) is not None

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
        async with self._ledger.turn(uid):
            document = await asyncio.to_thread(self._cdi.read, uid)
            finding = judge(self._held.find(uid), document, self._held)
            if finding is None or not (finding.effects or finding.record):
                return finding
            if finding.record is None or uid in self._held:
                return await self._mend(uid, finding)
            async with self._ledger.deciding(f"claim UID {uid}", gpus_of(finding.record)):
                # Another instance may have given its devices away since.
                finding = judge(None, document, self._held)
                return None if finding is None else await self._mend(uid, finding)

    async def _mend(self, uid: str, finding: Finding) -> Finding:
        kept, record = self._held.find(uid), finding.record
        if kept is None and record is not None:
            # With no wait since the check for conflicts, as in `_admit`.
            self._held.put(record)
        try:
            await self._carry_out(finding.effects, record, finding.plan, uid=uid)
        finally:
            # A lost one stays: it has its devices, whatever can be written of it.
            if kept is None and record is not None and record.state != State.LOST and self._held.find(uid) is record:
                self._held.drop(uid)
        if kept is not None and self._held.find(uid) is None:
            self._rest(kept)
        return finding

    def rest_free(self) -> None:
        """Lets the GPUs that no claim has return to the idle mode."""
        inventory = self._survey.inventory
        self._switcher.rest({gpu.address for gpu in inventory.gpus} if inventory is not None else ())

    async def _each(
        self, refs: Iterable[ClaimRef], call: Callable[[ClaimRef], Awaitable[tuple[PlannedDevice, ...]]]
    ) -> dict[str, Answer]:
        async def one(ref: ClaimRef) -> Answer:
            try:
                self._check(ref)
                async with self._ledger.turn(ref.uid):
                    return Answer(devices=await call(ref))
            except DriverError as error:
                return Answer(error=str(error), cause=error, pods=self._pods.get(ref.uid))
            except Exception as error:  # noqa: BLE001 - one claim's defect is no reason to fail the others
                _LOG.exception("claim %s/%s", ref.namespace, ref.name)
                return Answer(error=f"claim {ref.namespace}/{ref.name}: internal error {error!r}; see the plugin's log")
            finally:
                if ref.uid not in self._held:
                    self._pods.pop(ref.uid, None)

        unique = {ref.uid: ref for ref in refs}
        if len(unique) == 1:
            # As the kubelet asks nearly always; a task and its gathering take 40 to 80 µs.
            return {uid: await one(ref) for uid, ref in unique.items()}
        answers = await asyncio.gather(*(one(ref) for ref in unique.values()))
        return dict(zip(unique, answers, strict=True))

    def _check(self, ref: ClaimRef) -> None:
        """Refuses a UID that could not be part of a file's name, and every claim while those of before are unknown."""
        if not is_uid(ref.uid):
            raise ClaimError(
                f"claim {ref.namespace}/{ref.name}",
                expected="a UID of letters, digits, '-', '_' and '.'",
                found=repr(ref.uid),
                action="report this: the kubelet sends UIDs of the API server",
            )
        if self.not_ready:
            raise NotReadyError(
                f"claim {ref.namespace}/{ref.name}",
                expected="to know which claims this node has",
                found=self.not_ready,
                action="this is tried again every few seconds, and so does the kubelet",
            )

    def _find(self, uid: str) -> Record | None:
        """The record of a claim. Raises HostError if it is of a driver that is newer than this one."""
        kept = self._held.find(uid)
        if kept is not None and kept.state == State.NEWER:
            raise newer_error(kept)
        return kept

    async def _prepare(self, ref: ClaimRef) -> tuple[PlannedDevice, ...]:
        until = self._clock.now() + PATIENCE
        kept = self._find(ref.uid)
        state = State.ABSENT if kept is None else kept.state
        if state == State.READY and ref.uid in self._ledger.unsure:
            # The disk may say that it is being unprepared: that it is ready has to be saved again.
            state = State.UNPREPARING
        effects = effects_of(state, Event.PREPARE)
        if kept is not None and state == State.READY:
            moving = self._switcher.moving
            listing = await self._survey.get_listing()
            if _is_settled(kept, listing, moving):
                return await self._finish(effects, kept, listing)
            return await self._make_ready(effects, kept, until)
        self._refuse_blind(ref)
        claim = await self._api.get_claim(ref.namespace, ref.name)
        self._pods[ref.uid] = claim.pods
        listing = await self._fresh_listing({result.device for result in claim.results or ()}, until)
        planned = plan_claim(claim, ref.uid, node=self._paths.node, listing=listing, boot_id=self._paths.boot_id)
        record = carry_over(planned, kept)
        try:
            async with self._ledger.deciding(_name(record), gpus_of(record)):
                self._admit(record)
                # In this order: a switch that ends in between is in one of the two.
                moving = self._switcher.moving
                if not self._instances.alone:
                    listing = await self._survey.get_listing()
                if _is_settled(record, listing, moving):
                    return await self._finish(effects, record, listing)
                # What has to be waited for is waited for outside: here it would hold up other claims of the GPU.
                at = effects.index(Effect.SWITCH_MODE)
                await self._carry_out(effects[:at], record, None)
            return await self._make_ready(effects[at:], record, until)
        finally:
            # What is saved is another object: this one is there only if nothing was written.
            if self._held.find(ref.uid) is record:
                self._put_back(ref.uid, kept)

    def _refuse_blind(self, ref: ClaimRef) -> None:
        """Raises NotReadyError while claims whose records were lost may have any device."""
        if self.blind and ref.uid not in self.missing.uids:
            raise NotReadyError(
                f"claim {ref.namespace}/{ref.name}",
                expected="to know which devices are free",
                found="claims of this node whose records were lost",
                action="these are looked up at the API server first; the kubelet tries again",
            )

    def _put_back(self, uid: str, kept: Record | None) -> None:
        """Undoes the hold of a claim of which nothing was written."""
        if kept is None:
            self._held.drop(uid)
        else:
            self._held.put(kept)

    def _admit(self, record: Record) -> None:
        """Holds the claim's devices from here on, if no other claim has them."""
        conflict = self._held.find_conflict(record)
        if conflict is not None:
            device, other = conflict
            raise ClaimError(
                _name(record),
                expected=f"device {device} to be free",
                found=f"it is prepared for claim {other.namespace}/{other.name} (UID {other.uid})"
                + _modes(device, other),
                action="wait until the pods of that claim are gone; if that claim no longer exists, restart the plugin",
            )
        # With no wait since the check: a second claim on its device meets it.
        self._held.put(record)

    async def _fresh_listing(self, names: set[str], until: float) -> Listing:
        """The devices as last read; read again if KFD has changed, or one of these is not among them."""
        listing = await self._survey.get_listing()
        if all(listing.find_published(name) is not None for name in names):
            return listing
        # Of a GPU that another instance was switching when this one started, nothing is known yet.
        for address in self._survey.unknown:
            if device_name(address, None, 0) in {split_name(name)[0] for name in names}:
                await self._switcher.settle(address, None, where=f"GPU {address}", until=until)
        return await self._survey.refresh()

    async def _settle(self, record: Record, until: float) -> Listing:
        """Waits for switches that take the claim's GPUs elsewhere: to the idle mode, or where admin access looks on."""
        listing = await self._survey.get_listing()
        waited = False
        for held in record.devices:
            device = listing.find(held.device)
            if device is not None:
                mode = None if held.admin_access else device.mode
                waited |= await self._switcher.settle(device.gpu.address, mode, where=_name(record), until=until)
        if waited or any(listing.find(held.device) is None for held in record.devices):
            return await self._survey.refresh()
        # One that another instance did may have ended before it was looked for.
        return await self._survey.get_listing()

    async def _make_ready(self, effects: tuple[Effect, ...], record: Record, until: float) -> tuple[PlannedDevice, ...]:
        """Carries out the effects of a Prepare whose GPUs have to be waited for, or switched."""
        listing = await self._settle(record, until)
        switches = find_switches(record, listing)
        if switches:
            bring = (self._switcher.bring(switch, where=_name(record), until=until) for switch in switches)
            # All are waited for: an error of one GPU shall not leave a call behind that waits for another.
            for error in await asyncio.gather(*bring, return_exceptions=True):
                if error is not None:
                    raise error
            listing = await self._survey.get_listing()
        return await self._finish(effects, record, listing)

    async def _finish(self, effects: tuple[Effect, ...], record: Record, listing: Listing) -> tuple[PlannedDevice, ...]:
        """Carries out the effects in one go, as things stand."""
        plan = plan_record(record, node=self._paths.node, listing=listing, dev_root=self._paths.dev_root)
        await self._carry_out(effects, record, plan)
        return plan.devices

    async def _unprepare(self, ref: ClaimRef) -> tuple[PlannedDevice, ...]:
        record = self._find(ref.uid)
        effects = effects_of(State.ABSENT if record is None else record.state, Event.UNPREPARE)
        if ref.uid in self.missing.uids or ref.uid in self._ledger.unsure:
            # Its record may still be there and not be readable, or be there though its save has failed.
            effects = (*effects, Effect.DROP_RECORD)
        await self._carry_out(effects, record, None, uid=ref.uid)
        if self.missing:
            self.missing = self.missing.without(ref.uid)
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
        work = asyncio.get_running_loop().run_in_executor(None, self._do_all, effects, record, plan, uid)
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            # The kubelet gave up; the lock is kept until the effects are done, and the next call finds their outcome.
            # At a stop it may come twice.
            while not work.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([work])
            raise

    def _do_all(self, effects: tuple[Effect, ...], record: Record | None, plan: Plan | None, uid: str) -> None:
        for effect in effects:
            self._do(effect, record, plan, record.uid if record is not None else uid)

    def _do(self, effect: Effect, record: Record | None, plan: Plan | None, uid: str) -> None:
        match effect:
            case Effect.SAVE_PREPARING | Effect.SAVE_READY:
                self._ledger.save(_need(record), _STATES[effect])
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
                self._ledger.drop(uid)
                self._pods.pop(uid, None)

    def _save_unpreparing(self, record: Record) -> None:
        """Saves the intent, or goes on without it: on a full disk a pod must end, and what follows makes room.

        What is kept then may say Ready until the record is dropped, and an Unprepare of that has the same effects. A
        Prepare in between saves it anew.
        """
        try:
            self._ledger.save(record, State.UNPREPARING)
        except HostError as error:
            where = f"claim {record.namespace}/{record.name}"
            _LOG.warning("%s: unprepared all the same: %s: %s", where, error.where, error.found)


_STATES = {
    Effect.SAVE_PREPARING: State.PREPARING,
    Effect.SAVE_READY: State.READY,
}


def _name(record: Record) -> str:
    return f"claim {record.namespace}/{record.name}"


def _is_settled(record: Record, listing: Listing, moving: frozenset[PciAddress]) -> bool:
    """Whether its GPUs are in the modes that it needs, and none of them was on its way before it was listed."""
    devices = [listing.find(held.device) for held in record.devices]
    there = [device for device in devices if device is not None and device.gpu.address not in moving]
    return len(there) == len(devices) and not find_switches(record, listing)


def _modes(device: str, other: Record) -> str:
    """Both modes, if it is another mode of the GPU that stands in the way."""
    gpu, mode = split_name(device)
    theirs = {split_name(held.device)[1] for held in other.devices if split_name(held.device)[0] == gpu} - {mode}
    return f", which has its GPU in mode {', '.join(sorted(theirs))}, not {mode}" if theirs else ""


def _need[T](value: T | None) -> T:
    """A value that the table's effects cannot do without."""
    if value is None:
        raise HostError(
            "claim machine", expected="a record and a plan", found="none", action="report this: it is a defect"
        )
    return value

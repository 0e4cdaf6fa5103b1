"""`ClaimManager`: one per process."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace

from amdgpu_dra.agent.claims.turns import Turns
from amdgpu_dra.agent.ports import CdiFolder, ClaimApi, DeviceNodes, GpuTree, RecordStore
from amdgpu_dra.api.checkpoint import Record, State
from amdgpu_dra.api.errors import ClaimError, DriverError, HostError
from amdgpu_dra.core.claims import Effect, Event, Holdings, Plan, PlannedDevice, effects_of, plan_claim, plan_record
from amdgpu_dra.core.devices import Listing, list_devices

_LOG = logging.getLogger("claims")


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


class ClaimManager:
    """Prepares and unprepares claims.

    Calls for one claim wait for each other; claims on different devices run side by side. The records are kept in
    memory and written through to the store, so that a call costs the same however many claims there are.
    """

    def __init__(
        self, paths: Paths, *, api: ClaimApi, tree: GpuTree, nodes: DeviceNodes, store: RecordStore, cdi: CdiFolder
    ) -> None:
        self._paths = paths
        self._api, self._tree, self._nodes, self._store, self._cdi = api, tree, nodes, store, cdi
        self._held = Holdings()
        self._turns = Turns()
        self._listing: Listing | None = None

    def load(self) -> list[Record]:
        """Takes over what an earlier process kept; call it once, before serving. Raises HostError."""
        self._held = Holdings(self._store.load())
        return list(self._held)

    @property
    def records(self) -> list[Record]:
        """The claims that are held now."""
        return list(self._held)

    def use(self, listing: Listing) -> None:
        """The devices of the node, as they were last read."""
        self._listing = listing

    async def prepare(self, refs: Iterable[ClaimRef]) -> dict[str, Answer]:
        """An answer for each claim; one that fails takes no other with it."""
        return await self._each(refs, self._prepare)

    async def unprepare(self, refs: Iterable[ClaimRef]) -> dict[str, Answer]:
        """An answer for each claim; one that nobody knows is a success."""
        return await self._each(refs, self._unprepare)

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
        kept = self._held.find(ref.uid)
        if kept is not None and kept.state == State.READY:
            plan = await self._plan(kept)
            await self._carry_out(effects_of(State.READY, Event.PREPARE), kept, plan)
            return plan.devices
        record = await self._admit(ref)
        try:
            plan = await self._plan(record)
        except DriverError:
            self._put_back(ref.uid, kept)
            raise
        state = State.ABSENT if kept is None else kept.state
        await self._carry_out(effects_of(state, Event.PREPARE), record, plan)
        return plan.devices

    def _put_back(self, uid: str, kept: Record | None) -> None:
        """Undoes the hold of a claim of which nothing was written."""
        if kept is None:
            self._held.drop(uid)
        else:
            self._held.put(kept)

    async def _admit(self, ref: ClaimRef) -> Record:
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
                found=f"it is prepared for claim {other.namespace}/{other.name} (UID {other.uid})",
                action="wait until the pods of that claim are gone; if that claim no longer exists, restart the plugin",
            )
        # Held from here on, with no wait since the check: a second claim on its device meets it.
        self._held.put(record)
        return record

    async def _plan(self, record: Record) -> Plan:
        listing = await self._fresh_listing({held.device for held in record.devices})
        return plan_record(record, node=self._paths.node, listing=listing, dev_root=self._paths.dev_root)

    async def _fresh_listing(self, names: set[str]) -> Listing:
        """The devices as last read; read again if one of these is not among them."""
        if self._listing is None or any(self._listing.find(name) is None for name in names):
            self._listing = list_devices(await self._tree.read_inventory())
        return self._listing

    async def _unprepare(self, ref: ClaimRef) -> tuple[PlannedDevice, ...]:
        record = self._held.find(ref.uid)
        state = State.ABSENT if record is None else record.state
        await self._carry_out(effects_of(state, Event.UNPREPARE), record, None, uid=ref.uid)
        return ()

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
            case Effect.SAVE_PREPARING | Effect.SAVE_READY | Effect.SAVE_UNPREPARING:
                self._save(_need(record), _STATES[effect])
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

    def _save(self, record: Record, state: str) -> None:
        kept = replace(record, state=state)
        self._store.save(kept)
        self._held.put(kept)


_STATES = {
    Effect.SAVE_PREPARING: State.PREPARING,
    Effect.SAVE_READY: State.READY,
    Effect.SAVE_UNPREPARING: State.UNPREPARING,
}


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

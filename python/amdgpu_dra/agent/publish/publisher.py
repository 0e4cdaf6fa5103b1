"""`Publisher`: one per process."""

import asyncio
import logging
from collections.abc import Callable

from amdgpu_dra.agent.ports import Clock, SliceApi
from amdgpu_dra.agent.publish.support import Support, find_support
from amdgpu_dra.agent.publish.watch import SliceWatch
from amdgpu_dra.agent.retry import Backoff
from amdgpu_dra.api.errors import DriverError, NotReadyError, UsageError
from amdgpu_dra.api.reasons import Reason
from amdgpu_dra.api.resource import CounterSet, Device, ResourceSlice
from amdgpu_dra.core.slices import build_slices, diff_slices

_LOG = logging.getLogger("publish")
# Who repairs what others change at once is in a race with them: after each repair the next one waits longer, until
# there was none for this long.
_PEACE = 60.0
_ASK_AGAIN = 1.0


class Publisher:
    """Brings our slices of this node to what is wanted, and keeps them there.

    It lists, writes the difference and watches; whatever changes a slice that it did not write makes it look again. The
    first request waits for nothing, so that a node is of use at once; only what fails is spread over time.
    Slices are never removed at the end: the kubelet does that if the driver stays away (30 s).
    """

    def __init__(self, api: SliceApi, clock: Clock, *, node: str, with_counters: bool = False) -> None:
        """`with_counters`: find out whether the cluster keeps counters, before anything is published."""
        self._api, self._clock, self._node, self._with_counters = api, clock, node, with_counters
        self._devices: tuple[Device, ...] | None = None
        self._counter_sets: tuple[CounterSet, ...] = ()
        self.support: Support | None = None
        # Told the answer, and each later one that differs; may call `want`.
        self.on_support: Callable[[Support], None] = lambda _: None
        self._wake = asyncio.Event()
        self._node_uid = ""
        self._slices = SliceWatch(api, clock)
        self._tries, self._repairs = Backoff(clock), Backoff(clock, first=0.1)
        self._repaired: float | None = None
        self.wanted: int | None = None
        self.generation: int | None = None
        # Told that one of the two has changed.
        self.on_generation: Callable[[], None] = lambda: None
        self.problem = "the slices have not been written yet"
        self.on_synced: Callable[[], None] = lambda: None
        # Told what users shall see: a reason and a message.
        self.on_event: Callable[[str, str], None] = lambda _reason, _message: None
        self._synced: tuple[tuple[Device, ...], tuple[CounterSet, ...]] | None = None
        # Whether it is this instance that publishes.
        self.leads: Callable[[], bool] = lambda: True

    def want(self, devices: tuple[Device, ...], counter_sets: tuple[CounterSet, ...] = ()) -> None:
        """The devices, and their GPUs' counters, that should be published from now on."""
        if (devices, counter_sets) != (self._devices, self._counter_sets):
            self._devices, self._counter_sets = devices, counter_sets
            self._wake.set()

    @property
    def not_ready(self) -> str | None:
        """Why the slices are not accepted as wanted; None if they are."""
        return self.problem or None

    async def run(self) -> None:
        """Works until it is cancelled; what fails is tried again with growing, jittered delays."""
        while True:
            await self._wait_for_lead()
            try:
                version = await self._sync()
                self._tries.reset()
                if await self._watch(version):
                    await self._keep_peace()
            except UsageError:
                raise
            except DriverError as error:
                self.problem = str(error)
                if isinstance(error, NotReadyError) and error.refused:
                    self.on_event(Reason.SLICES_REFUSED, self.problem)
                pause = self._tries.next_pause(error)
                _LOG.warning("%s; next try in %.1f s", error, pause)
                await self._clock.sleep(pause)

    async def _keep_peace(self) -> None:
        """Before a repair: the first one is at once."""
        now, before = self._clock.now(), self._repaired
        self._repaired = now
        if before is None or now - before > _PEACE:
            self._repairs.reset()
        else:
            await self._clock.sleep(self._repairs.next_pause())
            self._repaired = self._clock.now()

    async def _wait_for_lead(self) -> None:
        """Returns when no other instance has the lead: what two versions publish may differ, and the newer one's stays.

        A write that is under way when another takes the lead is refused if that one has written since.
        """
        if self.leads():
            return
        _LOG.info("another instance of the plugin publishes")
        while not self.leads():
            await self._clock.sleep(_ASK_AGAIN)
        _LOG.info("this instance publishes")

    async def _sync(self) -> str:
        """Lists, writes what differs, and gives the version of the list."""
        if self._with_counters and not (self.support and self.support.counters):
            await self._find_support()
        self._wake.clear()
        devices, counter_sets = self._devices, self._counter_sets
        have, version = await self._api.list_slices()
        if devices is None:
            return version
        want = build_slices(devices, counter_sets, node=self._node, node_uid=await self._get_node_uid())
        actions = diff_slices(want, have)
        self.wanted = actions.generation
        self.on_generation()
        for item in actions.delete:
            await self._api.delete_slice(item)
            self._slices.note_dropped(item)
            _LOG.info("deleted slice %s, which is not wanted", item.name)
        for item in actions.update:
            self._check(item, await self._api.update_slice(item))
        for item in actions.create:
            self._check(item, await self._api.create_slice(item))
        if actions:
            _LOG.info("published %d devices in %d slices, generation %d", len(devices), len(want), actions.generation)
            if self._synced == (devices, counter_sets):
                self.on_event(Reason.SLICES_REPAIRED, f"{len(want)} slices were changed or deleted by others; repaired")
        self._synced = devices, counter_sets
        self.generation = actions.generation
        self.problem = ""
        self.on_generation()
        self.on_synced()
        return version

    async def _get_node_uid(self) -> str:
        if not self._node_uid:
            self._node_uid = await self._api.get_node_uid()
        return self._node_uid

    async def _find_support(self) -> None:
        """Asks again at every look while the answer is no: a newer server may have come since."""
        found = await find_support(self._api, node=self._node, node_uid=await self._get_node_uid())
        if found != self.support:
            self.support = found
            self.on_support(found)

    def _check(self, sent: ResourceSlice, stored: ResourceSlice) -> None:
        """Notes the version that we wrote, and says so if the server dropped anything."""
        self._slices.note_written(stored)
        if (stored.devices, stored.shared_counters) != (sent.devices, sent.shared_counters):
            _LOG.error("slice %s came back otherwise than it was sent: the server dropped fields", sent.name)
            self.on_event(Reason.FIELDS_DROPPED, f"slice {sent.name} came back without fields that it was sent with")

    async def _watch(self, version: str) -> bool:
        """Returns when other devices are wanted, or the slices have to be looked at: whether it is that."""
        # A server that is upgraded ends the watch, and may know counters afterwards.
        asks_again = self._with_counters and not (self.support and self.support.counters)
        waker = asyncio.create_task(self._wake.wait())
        watcher = asyncio.create_task(self._slices.wait_for_others(version, through_failures=not asks_again))
        try:
            done, _ = await asyncio.wait({waker, watcher}, return_when=asyncio.FIRST_COMPLETED)
            if watcher in done:
                watcher.result()
            return waker not in done
        finally:
            for task in (waker, watcher):
                task.cancel()
            # As results, so that a stop which comes in the meantime is not taken for the end of these two.
            await asyncio.gather(waker, watcher, return_exceptions=True)

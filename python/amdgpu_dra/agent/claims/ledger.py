"""`Ledger`: the claims that this node holds, in memory as on disk, whichever instance of the plugin wrote last."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace

from amdgpu_dra.agent.claims.turns import Turns
from amdgpu_dra.agent.ports import Clock, Instances, RecordStore
from amdgpu_dra.api.checkpoint import Loaded, Record, State
from amdgpu_dra.api.errors import NotReadyError
from amdgpu_dra.core.claims import Holdings, split_name

# The kubelet gives a call 45 s (PluginClientTimeout); an answer has to be on its way before.
PATIENCE = 40.0
_PAUSE, _LONGEST_PAUSE = 0.002, 0.1


def gpus_of(record: Record) -> set[str]:
    """The GPUs, by their devices' name, that a claim keeps from others; admin access keeps none."""
    return {split_name(held.device)[0] for held in record.devices if not held.admin_access}


class Ledger:
    """Records in memory, written through to the store, and read anew when another instance has changed them.

    A claim belongs to one call at a time, among all instances. Whether its devices are free is decided by who has the
    lock of their GPUs, and holds that lock until the answer is on disk, where the others see it.

    Attributes:
        unsure: claims whose last save has failed. It may have done so in the very end, so the disk may have either.
    """

    def __init__(self, store: RecordStore, instances: Instances, clock: Clock) -> None:
        self._store, self._instances, self._clock = store, instances, clock
        self.held = Holdings()
        self.unsure = set[str]()
        self._turns = Turns()
        self._version = b""
        self._reading = asyncio.Lock()
        # Claims whose truth is in memory, since a call of this process has them; and those of which that was so at any
        # moment of the reading that goes on.
        self._mine, self._touched = set[str](), set[str]()
        self._gpus: dict[str, int] = {}

    def read(self) -> Loaded:
        """What earlier processes kept, before serving. Raises HostError."""
        self._version = self._instances.get_version()
        return self._store.load()

    def take_over(self, records: Iterable[Record]) -> None:
        """From now on these are held."""
        self.held = Holdings(records)

    def is_idle(self, uid: str) -> bool:
        """Whether no other instance is at work on a claim at this moment."""
        idle = self._instances.try_lock(f"claim/{uid}")
        if idle and uid not in self._mine:
            self._instances.unlock(f"claim/{uid}")
        return idle

    @asynccontextmanager
    async def turn(self, uid: str) -> AsyncIterator[None]:
        """Waits until no other call has this claim, and has it inside.

        Raises:
            NotReadyError: another instance has it for too long.
            HostError: the records cannot be read.
        """
        async with self._turns.take(uid):
            pause, until = _PAUSE, self._clock.now() + PATIENCE
            while not self._instances.try_lock(f"claim/{uid}"):
                pause = await self._pause(pause, until, f"claim UID {uid}")
            try:
                await self._refresh()
                self._mine.add(uid)
                if self._reading.locked():
                    self._touched.add(uid)
                yield
            finally:
                self._mine.discard(uid)
                self._instances.unlock(f"claim/{uid}")

    @asynccontextmanager
    async def deciding(self, where: str, gpus: Iterable[str]) -> AsyncIterator[None]:
        """Inside, nobody else decides about these GPUs (names of devices), and what was decided before is known.

        Calls of this process may share it, since they see each other's holds in memory; not while there is another
        instance, which would wait for ever.

        Raises:
            NotReadyError: another instance has a GPU for too long.
            HostError: the records cannot be read.
        """
        taken = list[str]()
        try:
            pause, until = _PAUSE, self._clock.now() + PATIENCE
            # In one order for all: nobody waits for a GPU of somebody who waits for one of his.
            for gpu in sorted(set(gpus)):
                while not self._take(gpu):
                    pause = await self._pause(pause, until, f"{where}, {gpu}")
                taken.append(gpu)
            await self._refresh()
            yield
        finally:
            for gpu in taken:
                self._let_go(gpu)

    def _take(self, gpu: str) -> bool:
        users = self._gpus.get(gpu, 0)
        may = self._instances.alone if users else self._instances.try_lock(f"gpu/{gpu}")
        if may:
            self._gpus[gpu] = users + 1
        return may

    def _let_go(self, gpu: str) -> None:
        self._gpus[gpu] -= 1
        if not self._gpus[gpu]:
            del self._gpus[gpu]
            self._instances.unlock(f"gpu/{gpu}")

    async def _pause(self, seconds: float, until: float, where: str) -> float:
        """Waits a little, and gives the length of the next wait."""
        if self._clock.now() >= until:
            raise NotReadyError(
                where,
                expected="no other instance of the plugin at work on it",
                found="one that is, as during an update of the driver",
                action="wait; the kubelet tries again",
            )
        await self._clock.sleep(seconds * (0.5 + self._clock.jitter()))
        return min(2 * seconds, _LONGEST_PAUSE)

    async def _refresh(self) -> None:
        """Reads the records again if another instance may have changed one; not those that are in work here."""
        if self._instances.get_version() == self._version:
            return
        async with self._reading:
            version = self._instances.get_version()
            if version == self._version:
                return
            self._touched = set(self._mine)
            loaded = await asyncio.to_thread(self._store.load)
            self._merge(loaded, self._touched | self._mine)
            self._version = version

    def _merge(self, loaded: Loaded, mine: set[str]) -> None:
        records = {record.uid: record for record in loaded.records}
        # What is lost, now or since the start, is in memory alone.
        keep = mine | {item.uid for item in loaded.lost} | {kept.uid for kept in self.held if kept.state == State.LOST}
        for kept in self.held:
            if kept.uid not in records and kept.uid not in keep:
                self.held.drop(kept.uid)
        for uid, record in records.items():
            if uid not in mine:
                self.held.put(record)

    def save(self, record: Record, state: str) -> None:
        """Keeps a record in a state. Raises HostError."""
        kept = replace(record, state=state)
        self.unsure.add(kept.uid)
        with self._instances.changing():
            self._store.save(kept)
        self.unsure.discard(kept.uid)
        self.held.put(kept)

    def drop(self, uid: str) -> None:
        """Forgets a record. Raises HostError."""
        with self._instances.changing():
            self._store.drop(uid)
        self.unsure.discard(uid)
        self.held.drop(uid)

"""The API server's side, and time."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from dataclasses import replace
from typing import Any

from amdgpu_dra.api.errors import ClaimError, HostError, NotReadyError
from amdgpu_dra.api.resource import Claim, ObjectRef, ResourceSlice, SliceEvent


class FakeClaims:
    """Claims by namespace and name; away while `down`, and not to be listed while `forbidden`."""

    def __init__(self) -> None:
        self.claims: dict[tuple[str, str], Claim] = {}
        self.down = False
        self.forbidden = False
        self.reads = 0
        self.lists = 0

    def add(self, claim: Claim) -> None:
        """Puts a claim there, in place of one of its name."""
        self.claims[claim.namespace, claim.name] = claim

    async def get_claim(self, namespace: str, name: str) -> Claim:
        """See the port."""
        claim = await self.find_claim(namespace, name)
        if claim is None:
            raise ClaimError(f"claim {namespace}/{name}", expected="it", found="none", action="delete the pod")
        return claim

    async def find_claim(self, namespace: str, name: str) -> Claim | None:
        """See the port."""
        self.reads += 1
        await asyncio.sleep(0)
        if self.down:
            raise NotReadyError("API server", expected="an answer", found="none", action="wait")
        return self.claims.get((namespace, name))

    async def list_claims(self) -> AsyncIterator[Claim]:
        """See the port."""
        self.lists += 1
        await asyncio.sleep(0)
        if self.down:
            raise NotReadyError("API server", expected="an answer", found="none", action="wait")
        if self.forbidden:
            raise HostError("API server", expected="the right to list", found="none", action="give it")
        for claim in list(self.claims.values()):
            yield claim


class FakeSlices:
    """Slices with versions and a watch; away while `down`."""

    def __init__(self) -> None:
        self.slices: dict[str, ResourceSlice] = {}
        self.down = False
        # As where a right is missing.
        self.refuses = False
        self.asked = 0
        self.writes = 0
        self.version = "v1.37.0"
        # As with the feature gate DRAPartitionableDevices off.
        self.drops_counters = False
        self.trials = 0
        self._version = 0
        self._news: list[tuple[int, ResourceSlice, bool]] = []
        self._changed, self._ends = asyncio.Event(), asyncio.Event()
        # Version and seconds of each watch; the oldest version from which one can go on; lists so far.
        self.watches: list[tuple[str, int]] = []
        self.oldest = 0
        self.lists = 0
        # So many of the next watches fail.
        self.refused_watches = 0

    def _check(self) -> None:
        self.asked += 1
        if self.down:
            raise NotReadyError("API server", expected="an answer", found="none", action="wait")
        if self.refuses:
            error = NotReadyError("API server", expected="slices", found="forbidden", action="give the right")
            error.refused = True
            raise error

    def put(self, item: ResourceSlice) -> ResourceSlice:
        """Stores a slice, as anybody may."""
        self._version += 1
        stored = replace(item, uid=item.uid or f"uid-{item.name}", resource_version=str(self._version))
        self.slices[item.name] = stored
        self._tell(stored)
        return stored

    def take(self, name: str) -> None:
        """Deletes a slice, as anybody may."""
        self._version += 1
        self._tell(replace(self.slices.pop(name), resource_version=str(self._version)), deleted=True)

    def _tell(self, item: ResourceSlice, *, deleted: bool = False) -> None:
        self._news.append((self._version, item, deleted))
        self._changed.set()

    async def get_node_uid(self) -> str:
        """See the port."""
        self._check()
        return "node-uid"

    def _kept(self, item: ResourceSlice) -> ResourceSlice:
        if not self.drops_counters:
            return item
        return replace(
            item, shared_counters=(), devices=tuple(replace(device, consumes_counters=()) for device in item.devices)
        )

    async def get_version(self) -> str:
        """See the port."""
        self._check()
        return self.version

    async def try_slice(self, item: ResourceSlice) -> ResourceSlice | None:
        """See the port."""
        self._check()
        self.trials += 1
        return self._kept(item)

    async def list_slices(self) -> tuple[list[ResourceSlice], str]:
        """See the port."""
        self._check()
        self.lists += 1
        return list(self.slices.values()), str(self._version)

    async def create_slice(self, item: ResourceSlice) -> ResourceSlice:
        """See the port."""
        self._check()
        if item.name in self.slices:
            raise NotReadyError("slice", expected="no slice of this name", found="one", action="read again")
        self.writes += 1
        return self.put(self._kept(item))

    async def update_slice(self, item: ResourceSlice) -> ResourceSlice:
        """See the port."""
        self._check()
        stored = self.slices.get(item.name)
        if stored is None or stored.resource_version != item.resource_version:
            raise NotReadyError("slice", expected="the version read", found="another", action="read again")
        self.writes += 1
        return self.put(self._kept(item))

    async def delete_slice(self, item: ResourceSlice) -> None:
        """See the port."""
        self._check()
        self.writes += 1
        if item.name in self.slices:
            self.take(item.name)

    async def watch_slices(self, version: str, seconds: int) -> AsyncGenerator[SliceEvent]:
        """See the port; it lasts until the test says otherwise."""
        self.watches.append((version, seconds))
        if self.refused_watches:
            self.refused_watches -= 1
            raise NotReadyError("API server", expected="a watch", found="none", action="wait")
        self._check()
        seen, ends = int(version), self._ends
        if seen < self.oldest:
            yield SliceEvent(version="")
            return
        while True:
            for at, item, deleted in self._news:
                if at > seen:
                    seen = at
                    yield SliceEvent(version=str(at), item=item, deleted=deleted)
            if ends.is_set():
                return
            self._changed.clear()
            await self._changed.wait()

    def end_watches(self) -> None:
        """Every watch ends as the server ends one."""
        self._ends.set()
        self._ends = asyncio.Event()
        self._changed.set()


class FakeClock:
    """Time that passes at once for who sleeps; what was waited for is kept.

    A wait for work lasts until it is done, or until `run_out` says that all time given to it is over.
    """

    def __init__(self) -> None:
        self.waits: list[float] = []
        self._now = 0.0
        self._over = asyncio.Event()

    def now(self) -> float:
        """See the port."""
        return self._now

    def run_out(self, seconds: float) -> None:
        """Lets so much time pass: every wait that is under way ends."""
        self._now += seconds
        self._over.set()
        self._over = asyncio.Event()

    def pass_by(self, seconds: float) -> None:
        """Lets so much time pass in which no wait ends."""
        self._now += seconds

    async def wait(self, work: "asyncio.Future[Any]", seconds: float) -> bool:
        """See the port."""
        if seconds <= 0 or work.done():
            return work.done()
        over = asyncio.create_task(self._over.wait())
        try:
            await asyncio.wait({work, over}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            over.cancel()
        return work.done()

    async def sleep(self, seconds: float) -> None:
        """See the port."""
        self.waits.append(seconds)
        self._now += seconds
        await asyncio.sleep(0)

    def jitter(self) -> float:
        """Always in the middle."""
        return 0.5


class FakeEvents:
    """Keeps what was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.pods: list[tuple[str, str]] = []

    def emit(
        self,
        reason: str,
        message: str,
        *,
        claim: tuple[str, str, str] | None = None,
        pods: Iterable[ObjectRef] = (),
        same: str = "",
    ) -> None:
        """See the port."""
        del same
        self.told.append((reason, message if claim is None else f"{claim[0]}/{claim[1]}: {message}"))
        self.pods += [(reason, pod.name) for pod in pods]

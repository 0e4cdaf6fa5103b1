"""The API server's side: claims, slices and Events, away at times, with answers that come late or never."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

from amdgpu_dra.api.errors import NotReadyError
from amdgpu_dra.api.resource import Claim, ObjectRef, ResourceSlice, SliceEvent
from amdgpu_dra.testing.fakes import FakeClaims, FakeSlices
from amdgpu_dra.testing.model.loop import Killed, StepLoop


class Server:
    """What is stored, and whether it can be reached."""

    def __init__(self) -> None:
        self.claims, self.slices = FakeClaims(), FakeSlices()
        self.events: list[str] = []
        self.down = False
        self.fell = asyncio.Event()
        self.requests = 0

    def set_down(self, *, down: bool) -> None:
        """Whether it is away. Watches end with it."""
        self.down = down
        if down:
            self.fell.set()
            self.fell = asyncio.Event()


class ServerPort:
    """One process' client. Fulfils `ClaimApi`, `SliceApi` and `EventApi`."""

    def __init__(self, loop: StepLoop, server: Server, owner: object, is_dead: Callable[[], bool]) -> None:
        self._loop, self._server, self._owner, self._is_dead = loop, server, owner, is_dead

    async def _ask[T](self, label: str, call: Callable[[], Awaitable[T]]) -> T:
        """The request's way, the server's act, the answer's way; either way may be cut."""
        for act in ("asks", "is answered"):
            if self._is_dead():
                raise Killed
            await self._loop.point(f"{label} {act}", self._owner)
            if self._server.down:
                raise NotReadyError("API server", expected="an answer", found="none", action="wait")
            if act == "asks":
                self._server.requests += 1
                answer = await call()
        return answer

    async def get_claim(self, namespace: str, name: str) -> Claim:
        """See the port."""
        return await self._ask("get claim", lambda: self._server.claims.get_claim(namespace, name))

    async def find_claim(self, namespace: str, name: str) -> Claim | None:
        """See the port."""
        return await self._ask("find claim", lambda: self._server.claims.find_claim(namespace, name))

    async def list_claims(self) -> AsyncIterator[Claim]:
        """See the port; all of them are one page."""

        async def read() -> list[Claim]:
            return [claim async for claim in self._server.claims.list_claims()]

        for claim in await self._ask("list claims", read):
            yield claim

    async def get_node_uid(self) -> str:
        """See the port."""
        return await self._ask("node", self._server.slices.get_node_uid)

    async def get_version(self) -> str:
        """See the port."""
        return await self._ask("version", self._server.slices.get_version)

    async def try_slice(self, item: ResourceSlice) -> ResourceSlice | None:
        """See the port."""
        return await self._ask("trial", lambda: self._server.slices.try_slice(item))

    async def list_slices(self) -> tuple[list[ResourceSlice], str]:
        """See the port."""
        return await self._ask("list slices", self._server.slices.list_slices)

    async def create_slice(self, item: ResourceSlice) -> ResourceSlice:
        """See the port."""
        return await self._ask("create slice", lambda: self._server.slices.create_slice(item))

    async def update_slice(self, item: ResourceSlice) -> ResourceSlice:
        """See the port."""
        return await self._ask("update slice", lambda: self._server.slices.update_slice(item))

    async def delete_slice(self, item: ResourceSlice) -> None:
        """See the port."""
        await self._ask("delete slice", lambda: self._server.slices.delete_slice(item))

    async def watch_slices(self, version: str, seconds: int) -> AsyncGenerator[SliceEvent]:
        """See the port; ends with the server, and brings no bookmarks: who waits too long begins another."""
        news: asyncio.Queue[SliceEvent] = asyncio.Queue()

        async def read() -> None:
            async for item in self._server.slices.watch_slices(version, seconds):
                news.put_nowait(item)

        reader = asyncio.create_task(read())
        fell = asyncio.create_task(self._server.fell.wait())
        try:
            while True:
                item = asyncio.create_task(news.get())
                await asyncio.wait({item, fell}, return_when=asyncio.FIRST_COMPLETED)
                if not item.done():
                    item.cancel()
                    raise NotReadyError("ResourceSlices", expected="a watch", found="its end", action="wait")
                yield item.result()
        finally:
            reader.cancel()
            fell.cancel()

    async def post_event(self, reason: str, message: str, about: ObjectRef | None) -> None:
        """See the port."""

        async def post() -> None:
            self._server.events.append(f"{reason} {about} {message}")

        await self._ask("post event", post)

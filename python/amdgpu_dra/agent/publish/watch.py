"""`SliceWatch`: notices what others do to our slices, at the least cost for the API server."""

import asyncio
import logging
from contextlib import aclosing

from amdgpu_dra.agent.ports import Clock, SliceApi
from amdgpu_dra.agent.retry import Backoff
from amdgpu_dra.api.errors import NotReadyError
from amdgpu_dra.api.resource import ResourceSlice, SliceEvent

_LOG = logging.getLogger("publish")
# How long the server keeps one watch: at random between these, so that of many nodes that began in the same moment
# each comes back in another.
SHORTEST, LONGEST = 300, 600
# The server sends a sign of life every minute.
SILENCE = 90.0
# After so many watches in a row that brought nothing the slices are listed: whatever is wrong, that puts it right.
_FAILURES = 3


class SliceWatch:
    """One watch after another, each going on from where the last one ended: a list is needed only at the beginning."""

    def __init__(self, api: SliceApi, clock: Clock) -> None:
        self._api, self._clock = api, clock
        self._written: dict[str, str] = {}
        self._dropped: set[str] = set()
        self._version, self._alive = "", False

    def note_written(self, stored: ResourceSlice) -> None:
        """We wrote this version."""
        self._written[stored.name] = stored.resource_version

    def note_dropped(self, item: ResourceSlice) -> None:
        """We deleted this slice."""
        self._written.pop(item.name, None)
        self._dropped.add(item.uid)

    async def wait_for_others(self, version: str, *, through_failures: bool) -> None:
        """Returns when others changed or deleted a slice after `version`, or when only a list can tell.

        Args:
            version: of the last list.
            through_failures: go on after a watch that failed; else its error is raised.

        Raises:
            NotReadyError: a watch failed.
        """
        self._version = version
        backoff = Backoff(self._clock, first=1.0, longest=30.0)
        while backoff.failures < _FAILURES:
            error, since = None, self._clock.now()
            try:
                if await self._watch():
                    return
            except NotReadyError as raised:
                error = raised
                if not through_failures:
                    raise
            pause = backoff.next_pause(error)
            if self._clock.now() - since >= SILENCE:
                # It had its time, and is no failure; nobody comes back in the same moment all the same.
                backoff.reset()
            _LOG.info("the watch of slices ended%s; the next in %.1f s", f" ({error})" if error else "", pause)
            await self._clock.sleep(pause)

    async def _watch(self) -> bool:
        """One watch, as long as it shows signs of life; whether the slices have to be listed."""
        reading = asyncio.ensure_future(self._read())
        try:
            while not await self._clock.wait(reading, SILENCE):
                if not self._alive:
                    raise NotReadyError(
                        "watch of ResourceSlices",
                        expected="an event, or a bookmark every minute",
                        found=f"nothing for {SILENCE:.0f} s",
                        action="another watch is begun",
                    )
                self._alive = False
            return reading.result()
        finally:
            reading.cancel()
            await asyncio.wait([reading])

    async def _read(self) -> bool:
        seconds = SHORTEST + int(self._clock.jitter() * (LONGEST - SHORTEST))
        self._alive = False
        async with aclosing(self._api.watch_slices(self._version, seconds)) as events:
            async for event in events:
                if not event.version or self._is_foreign(event):
                    return True
                self._version, self._alive = event.version, True
        return False

    def _is_foreign(self, event: SliceEvent) -> bool:
        item = event.item
        if item is None:
            return False
        ours = item.uid in self._dropped if event.deleted else self._written.get(item.name) == item.resource_version
        if not ours:
            _LOG.info("slice %s was %s by others", item.name, "deleted" if event.deleted else "changed")
        return not ours

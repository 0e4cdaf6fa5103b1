"""`Rescan`: notices that GPUs came, went or changed their modes, whoever did it."""

import asyncio
import logging
from collections.abc import Callable

from amdgpu_dra.agent.claims.survey import Survey
from amdgpu_dra.agent.claims.switcher import Switcher
from amdgpu_dra.agent.ports import Clock, GpuTree, Hotplug
from amdgpu_dra.api.errors import HostError

_LOG = logging.getLogger("rescan")
# A driver that is loaded sends dozens of uevents within seconds. The tree is read once they have been quiet for so
# long, or once so much time is over since the first.
QUIET, LONGEST_STORM = 0.25, 2.0


class Rescan:
    """Looks every `interval` seconds, which is what finds changes of modes, and at once when the kernel tells of GPUs.

    A look that finds nothing new reads a few small files; only what differs has the whole tree read. A look that fails
    takes nothing away, and the next one tries again.

    Attributes:
        on_change: told that the tree was read anew because something had changed.
    """

    def __init__(
        self, survey: Survey, switcher: Switcher, tree: GpuTree, hotplug: Hotplug, clock: Clock, *, interval: float
    ) -> None:
        self._survey, self._switcher, self._tree = survey, switcher, tree
        self._hotplug, self._clock, self._interval = hotplug, clock, interval
        self._seen: tuple[str, ...] | None = None
        self._failure = ""
        self._hearing: asyncio.Task[None] | None = None
        self.on_change: Callable[[], None] = lambda: None

    async def run(self) -> None:
        """Looks until it is cancelled."""
        try:
            while True:
                heard = await self._hear(self._interval)
                if heard:
                    await self._outlast()
                await self._switcher.look()
                await self.look(heard=heard)
        finally:
            if self._hearing is not None:
                self._hearing.cancel()

    async def look(self, *, heard: bool = False) -> None:
        """One look. `heard`: the kernel told of a change, which may be one that the small files do not show."""
        # Taken before the tree is read: what changes in between is found by the next look.
        now = await self._survey.look(self._tree.fingerprint)
        if now == self._seen and not (heard or self._survey.doubtful or self._survey.problem):
            self._survey.on_look("")
            return
        if self._seen is not None:
            _LOG.info(
                "%s; reading the tree again",
                "the kernel tells of GPUs" if heard else "GPUs or their modes have changed",
            )
        try:
            await self._survey.refresh()
        except HostError as error:
            # What is published stays: one failed look is no reason to take a node's GPUs away.
            if str(error) != self._failure:
                _LOG.error("%s", error)
            self._failure = str(error)
            return
        self._failure = ""
        first, self._seen = self._seen is None, now
        if not first:
            self.on_change()

    async def _hear(self, seconds: float) -> bool:
        """Whether the kernel tells of GPUs within so long."""
        if self._hearing is None:
            self._hearing = asyncio.ensure_future(self._hotplug.wait())
        if not await self._clock.wait(self._hearing, seconds):
            return False
        self._hearing = None
        return True

    async def _outlast(self) -> None:
        until = self._clock.now() + LONGEST_STORM
        while (left := until - self._clock.now()) > 0 and await self._hear(min(QUIET, left)):
            pass

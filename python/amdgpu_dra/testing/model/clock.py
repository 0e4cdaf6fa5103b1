"""Time that passes only when it is told to."""

import asyncio
from typing import Any

from amdgpu_dra.testing.model.loop import StepLoop


class VirtualClock:
    """Fulfils `Clock`."""

    def __init__(self, loop: StepLoop) -> None:
        self._loop = loop
        self._now = 0.0
        self._timers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> float:
        """See the port."""
        return self._now

    def jitter(self) -> float:
        """Always in the middle."""
        return 0.5

    def _timer(self, seconds: float) -> "asyncio.Future[None]":
        timer: asyncio.Future[None] = self._loop.create_future()
        self._timers.append((self._now + seconds, timer))
        return timer

    async def sleep(self, seconds: float) -> None:
        """See the port."""
        await self._timer(seconds)

    async def wait(self, work: "asyncio.Future[Any]", seconds: float) -> bool:
        """See the port."""
        timer = self._timer(max(0.0, seconds))
        try:
            await asyncio.wait({work, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
        return work.done()

    def next_in(self) -> float | None:
        """Seconds until the first that waits is woken; None if nobody waits."""
        self._timers = [(when, timer) for when, timer in self._timers if not timer.done()]
        return min((when for when, _ in self._timers), default=self._now) - self._now if self._timers else None

    def advance(self, seconds: float) -> None:
        """Lets time pass, and wakes whose time has come, one after another."""
        until = self._now + seconds
        while (left := self.next_in()) is not None and self._now + left <= until:
            self._now += left
            when, timer = min(self._timers, key=lambda entry: entry[0])
            self._timers.remove((when, timer))
            timer.set_result(None)
            self._loop.run_until_idle()
        self._now = until

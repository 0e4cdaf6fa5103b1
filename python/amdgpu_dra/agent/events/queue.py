"""`EventQueue`: one per process."""

import asyncio
import logging

from amdgpu_dra.agent.ports import Clock, EventApi
from amdgpu_dra.api.errors import DriverError

_LOG = logging.getLogger("events")
# The same words about the same object are told again after this many seconds.
_AGAIN = 600.0
# So many Events at once, and one more in so many seconds.
_BURST, _REFILL = 20, 30.0

type Words = tuple[str, str, tuple[str, str, str] | None]


class EventQueue:
    """Takes Events and posts them one after another. Fulfils `agent/ports.Events`.

    What is told twice, too often, or while the API server is away, is only in the log: an Event is a help to users and
    no record.
    """

    def __init__(self, api: EventApi, clock: Clock) -> None:
        self._api, self._clock = api, clock
        self._queue: asyncio.Queue[Words] = asyncio.Queue(_BURST)
        self._told: dict[Words, float] = {}
        self._left, self._since = float(_BURST), clock.now()

    def emit(self, reason: str, message: str, *, claim: tuple[str, str, str] | None = None) -> None:
        """See the port."""
        words, now = (reason, message, claim), self._clock.now()
        self._told = {old: at for old, at in self._told.items() if now - at < _AGAIN}
        self._left = min(float(_BURST), self._left + (now - self._since) / _REFILL)
        self._since = now
        if words in self._told or self._left < 1 or self._queue.full():
            return
        self._told[words] = now
        self._left -= 1
        self._queue.put_nowait(words)

    async def run(self) -> None:
        """Posts until it is cancelled."""
        while True:
            reason, message, claim = await self._queue.get()
            try:
                await self._api.post_event(reason, message, claim)
            except DriverError as error:
                _LOG.warning("Event %s is not posted: %s", reason, error)

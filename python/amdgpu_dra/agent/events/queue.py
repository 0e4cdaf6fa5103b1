"""`EventQueue`: one per process."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from itertools import islice

from amdgpu_dra.agent.ports import Clock, EventApi
from amdgpu_dra.agent.retry import Backoff
from amdgpu_dra.api.errors import DriverError, NotReadyError
from amdgpu_dra.api.logs import facts
from amdgpu_dra.api.resource import ObjectRef

_LOG = logging.getLogger("events")
# The same words about the same object are told again after this many seconds.
_AGAIN = 600.0
# So many Events at once, and one more in so many seconds.
BURST, REFILL = 20, 30.0
# How often one is tried: some five minutes in all, on average.
_TRIES = 9
# A claim may be reserved for 256 pods; of more than a few all are told by the claim's own Event.
_PODS = 4
type Words = tuple[str, str, ObjectRef | None]


class EventQueue:
    """Takes Events and posts them one after another. Fulfils `agent/ports.Events`.

    What is told twice, too often, or cannot be posted for minutes, is only in the log: an Event is a help to users and
    no record.
    """

    def __init__(self, api: EventApi, clock: Clock) -> None:
        self._api, self._clock = api, clock
        # Told the reason of each Event and what became of it: posted, failed or dropped.
        self.on_event: Callable[[str, str], None] = lambda _reason, _result: None
        self._queue: asyncio.Queue[Words] = asyncio.Queue(BURST)
        self._told: dict[Words, float] = {}
        self._left, self._since = float(BURST), clock.now()

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
        about = None
        if claim is not None:
            namespace, name, uid = claim
            about = ObjectRef(kind="ResourceClaim", namespace=namespace, name=name, uid=uid)
        for each in (about, *islice(pods, _PODS)):
            self._put((reason, message, each), (reason, same or message, each))

    def _put(self, words: Words, key: Words) -> None:
        now = self._clock.now()
        self._told = {old: at for old, at in self._told.items() if now - at < _AGAIN}
        self._left = min(float(BURST), self._left + (now - self._since) / REFILL)
        self._since = now
        if key in self._told:
            return
        if self._left < 1 or self._queue.full():
            self.on_event(words[0], "dropped")
            return
        self._told[key] = now
        self._left -= 1
        self._queue.put_nowait(words)

    async def run(self) -> None:
        """Posts until it is cancelled."""
        while True:
            words = await self._queue.get()
            try:
                await self._post(words)
            except DriverError as error:
                _LOG.warning("Event %s is not posted: %s", words[0], error, extra=facts(reason=words[0]))
                self.on_event(words[0], "failed")
            else:
                self.on_event(words[0], "posted")

    async def _post(self, words: Words) -> None:
        """Raises DriverError if it is refused, or if the API server is away for long."""
        backoff = Backoff(self._clock, first=1.0, longest=120.0)
        while True:
            try:
                return await self._api.post_event(*words)
            except NotReadyError as error:
                pause = backoff.next_pause(error)
                if error.refused or backoff.failures >= _TRIES:
                    raise
                await self._clock.sleep(pause)

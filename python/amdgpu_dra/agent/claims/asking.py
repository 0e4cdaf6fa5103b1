"""How the API server is asked for claims: for a call of the kubelet, and in the background."""

import asyncio
from collections.abc import AsyncIterator

from amdgpu_dra.agent.ports import ClaimApi, Clock
from amdgpu_dra.agent.retry import Backoff
from amdgpu_dra.api.errors import NotReadyError
from amdgpu_dra.api.resource import Claim

# An answer takes milliseconds. Of the kubelet's 45 s for a call most belong to a GPU that has to be switched.
PATIENCE = 10.0
# A look at 64 claims takes 16 s on average, and a thousand nodes that look at once ask 4,000 times a second.
LONGEST_PACE = 0.5


class PatientClaims:
    """Claims for a call that has a deadline: an answer or an error within `PATIENCE` seconds.

    A server that is too busy and says when to come again (429, 503 with Retry-After) is asked again within that time:
    the kubelet would come only after a minute and a half.
    """

    def __init__(self, api: ClaimApi, clock: Clock) -> None:
        self._api, self._clock = api, clock

    async def get_claim(self, namespace: str, name: str) -> Claim:
        """See the port."""
        until = self._clock.now() + PATIENCE
        backoff = Backoff(self._clock)
        while True:
            try:
                return await self._ask(namespace, name, until)
            except NotReadyError as error:
                pause = backoff.next_pause(error)
                if error.retry_after is None or self._clock.now() + pause >= until:
                    raise
                await self._clock.sleep(pause)

    async def find_claim(self, namespace: str, name: str) -> Claim | None:
        """See the port."""
        return await self._api.find_claim(namespace, name)

    def list_claims(self) -> AsyncIterator[Claim]:
        """See the port."""
        return self._api.list_claims()

    async def _ask(self, namespace: str, name: str, until: float) -> Claim:
        asking = asyncio.ensure_future(self._api.get_claim(namespace, name))
        try:
            if await self._clock.wait(asking, until - self._clock.now()):
                return asking.result()
        finally:
            asking.cancel()
        raise NotReadyError(
            f"claim {namespace}/{name}",
            expected="the API server to answer",
            found=f"nothing for {PATIENCE:.0f} s",
            action="the kubelet tries again; if this lasts, look at the network between this node and the API server",
        )


class PacedClaims:
    """Claims for a look at all of them that nobody waits for.

    Between two questions is a random pause, so that nodes that start in the same moment do not all ask at once. After
    one that was not answered the next ones are not asked at all for a while, which grows: a look at 64 claims shall not
    knock 64 times at a door that is closed.
    """

    def __init__(self, api: ClaimApi, clock: Clock) -> None:
        self._api, self._clock = api, clock
        self._backoff = Backoff(clock, first=2.0)
        self._closed_until = clock.now()
        self._why = ""

    async def get_claim(self, namespace: str, name: str) -> Claim:
        """See the port."""
        return await self._api.get_claim(namespace, name)

    async def find_claim(self, namespace: str, name: str) -> Claim | None:
        """See the port."""
        if (left := self._closed_until - self._clock.now()) > 0:
            raise NotReadyError(
                f"claim {namespace}/{name}",
                expected="an API server that answers",
                found=self._why,
                action=f"it is asked again, not before {left:.0f} s have gone",
            )
        await self._clock.sleep(self._clock.jitter() * LONGEST_PACE)
        try:
            found = await self._api.find_claim(namespace, name)
        except NotReadyError as error:
            self._why = str(error)
            self._closed_until = self._clock.now() + self._backoff.next_pause(error)
            raise
        self._backoff.reset()
        return found

    def list_claims(self) -> AsyncIterator[Claim]:
        """See the port."""
        return self._api.list_claims()

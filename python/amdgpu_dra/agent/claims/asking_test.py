"""The API server is asked in time, again when it says so, and not by everybody at once."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from amdgpu_dra.agent.claims.asking import LONGEST_PACE, PATIENCE, PacedClaims, PatientClaims
from amdgpu_dra.api.errors import ClaimError, NotReadyError
from amdgpu_dra.api.resource import Claim
from amdgpu_dra.testing.fakes import FakeClaims, FakeClock

CLAIM = Claim(uid="u", namespace="ns", name="c", results=())


class Api(FakeClaims):
    """Refuses as often as it was told to, and hangs while `hangs`."""

    def __init__(self, *refusals: float | None) -> None:
        super().__init__()
        self.refusals, self.hangs, self.given_up = list(refusals), False, 0
        self.add(CLAIM)

    async def find_claim(self, namespace: str, name: str) -> Claim | None:
        """See the port."""
        found = await super().find_claim(namespace, name)
        if self.refusals:
            error = NotReadyError("API server", expected="an answer", found="status 429", action="wait")
            error.retry_after = self.refusals.pop(0)
            raise error
        if self.hangs:
            try:
                await asyncio.Event().wait()
            finally:
                self.given_up += 1
        return found


def _play(api: Api, story: Callable[[PatientClaims, FakeClock], Awaitable[None]]) -> None:
    clock = FakeClock()

    async def run() -> None:
        async with asyncio.timeout(10):
            await story(PatientClaims(api, clock), clock)

    asyncio.run(run())


def test_a_server_that_never_answers_is_given_up_in_time() -> None:
    """The call has its error long before the kubelet's 45 s are over, and the question is taken back."""
    api = Api()
    api.hangs = True

    async def story(claims: PatientClaims, clock: FakeClock) -> None:
        call = asyncio.ensure_future(claims.get_claim("ns", "c"))
        while not api.reads:
            await asyncio.sleep(0)
        clock.run_out(PATIENCE)
        with pytest.raises(
            NotReadyError, match=r"claim ns/c: expected the API server to answer, found nothing for 10 s"
        ):
            await call
        await asyncio.sleep(0)
        assert api.given_up == 1

    _play(api, story)
    assert PATIENCE < 45 / 2


def test_a_call_that_is_cancelled_takes_its_question_back() -> None:
    """The kubelet gives up: nothing is left that waits."""
    api = Api()
    api.hangs = True

    async def story(claims: PatientClaims, _clock: FakeClock) -> None:
        call = asyncio.ensure_future(claims.get_claim("ns", "c"))
        while not api.reads:
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        for _ in range(3):
            await asyncio.sleep(0)
        assert api.given_up == 1

    _play(api, story)


def test_a_busy_server_is_asked_again_when_it_said() -> None:
    """Two refusals with Retry-After are waited out, not less than it asked for; the call succeeds."""
    api = Api(1, 2)

    async def story(claims: PatientClaims, clock: FakeClock) -> None:
        assert await claims.get_claim("ns", "c") == CLAIM
        assert [wait >= told for wait, told in zip(clock.waits, (1, 2), strict=True)] == [True, True]

    _play(api, story)


@pytest.mark.parametrize("told", [None, PATIENCE], ids=["does-not-say", "too-late"])
def test_a_refusal_that_cannot_be_waited_out_is_the_answer(told: float | None) -> None:
    """A server that does not say when, or says a time past the deadline, is not asked again by this call."""
    api = Api(told)

    async def story(claims: PatientClaims, clock: FakeClock) -> None:
        with pytest.raises(NotReadyError):
            await claims.get_claim("ns", "c")
        assert (api.reads, clock.waits) == (1, [])

    _play(api, story)


def test_a_busy_server_is_not_asked_for_ever() -> None:
    """One that refuses and refuses has its last word within the deadline."""
    api = Api(*(1.0 for _ in range(1000)))

    async def story(claims: PatientClaims, clock: FakeClock) -> None:
        with pytest.raises(NotReadyError):
            await claims.get_claim("ns", "c")
        assert clock.now() < PATIENCE
        assert api.reads < PATIENCE

    _play(api, story)


def test_a_claim_that_is_not_there_is_told_at_once() -> None:
    """That is an answer."""

    async def story(claims: PatientClaims, clock: FakeClock) -> None:
        with pytest.raises(ClaimError):
            await claims.get_claim("ns", "other")
        assert clock.waits == []

    _play(Api(), story)


def test_a_look_at_many_claims_is_spread() -> None:
    """Each question waits a random part of the pace."""

    async def story() -> None:
        api, clock = Api(), FakeClock()
        claims = PacedClaims(api, clock)
        for _ in range(64):
            assert await claims.find_claim("ns", "c") == CLAIM
        assert clock.waits == [LONGEST_PACE / 2] * 64

    asyncio.run(story())


def test_a_closed_door_is_knocked_at_once() -> None:
    """After a question without an answer the others of a look are not asked; later ones are, and an answer opens it."""

    async def story() -> None:
        api, clock = Api(), FakeClock()
        claims = PacedClaims(api, clock)
        api.down = True
        for _ in range(64):
            with pytest.raises(NotReadyError):
                await claims.find_claim("ns", "c")
        assert api.reads == 1
        clock.run_out(60)
        with pytest.raises(NotReadyError):
            await claims.find_claim("ns", "c")
        assert api.reads == 2
        api.down = False
        clock.run_out(60)
        for _ in range(2):
            assert await claims.find_claim("ns", "c") == CLAIM

    asyncio.run(story())

"""Events are told once, not too often, and never stand in the way."""

import asyncio
from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.agent.events import EventQueue
from amdgpu_dra.api.errors import NotReadyError
from amdgpu_dra.api.resource import ObjectRef
from amdgpu_dra.testing.fakes import FakeClock


class Api:
    """Keeps what was posted; away while `down`."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, str]] = []
        self.down = self.refuses = False

    async def post_event(self, reason: str, message: str, about: ObjectRef | None) -> None:
        """See the port."""
        if self.down or self.refuses:
            error = NotReadyError("API server", expected="an answer", found="none", action="wait")
            error.refused = self.refuses
            raise error
        self.posted.append((reason, message if about is None else f"{about.namespace}/{about.name}: {message}"))


async def _drain(queue: EventQueue) -> None:
    task = asyncio.create_task(queue.run())
    for _ in range(100):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from([0, 1, 100, 700])), max_size=60))
def test_nothing_is_told_twice_within_ten_minutes(steps: list[tuple[str, int]]) -> None:
    """Whatever is emitted when: the first is always told, and the same words at most once in 600 s."""

    async def story() -> None:
        api, clock = Api(), FakeClock()
        queue = EventQueue(api, clock)
        told: dict[str, list[float]] = {}
        for word, pause in steps:
            clock.run_out(pause)
            before = len(api.posted)
            queue.emit("R", word)
            await _drain(queue)
            if len(api.posted) > before:
                told.setdefault(word, []).append(clock.now())
        assert set(told) == {word for word, _ in steps}
        assert all(b - a >= 600 for times in told.values() for a, b in pairwise(times))

    asyncio.run(story())


def test_a_flood_is_cut_off() -> None:
    """Twenty at once, and one more after half a minute."""

    async def story() -> None:
        api, clock = Api(), FakeClock()
        queue = EventQueue(api, clock)
        for number in range(100):
            queue.emit("R", str(number))
        await _drain(queue)
        assert len(api.posted) == 20
        clock.run_out(30)
        queue.emit("R", "x")
        queue.emit("R", "y")
        await _drain(queue)
        assert api.posted[20:] == [("R", "x")]

    asyncio.run(story())


def test_an_event_that_cannot_be_posted_stops_no_other() -> None:
    """With the API server away it is lost; the next is posted."""

    async def story() -> None:
        api = Api()
        queue = EventQueue(api, FakeClock())
        api.down = True
        queue.emit("R", "lost")
        await _drain(queue)
        api.down = False
        queue.emit("R", "posted", claim=("ns", "c", "u"))
        await _drain(queue)
        assert api.posted == [("R", "ns/c: posted")]

    asyncio.run(story())


def _pods(count: int) -> list[ObjectRef]:
    return [ObjectRef(kind="Pod", namespace="ns", name=f"p{i}", uid=str(i)) for i in range(count)]


def test_a_claims_pods_are_told_as_well() -> None:
    """The same words beside the claim and beside its pods; of very many the first four."""

    async def story() -> None:
        api = Api()
        queue = EventQueue(api, FakeClock())
        queue.emit("R", "x", claim=("ns", "c", "u"), pods=_pods(6))
        queue.emit("R", "x", claim=("ns", "c", "u"), pods=_pods(2))
        await _drain(queue)
        assert api.posted == [("R", f"ns/{name}: x") for name in ("c", "p0", "p1", "p2", "p3")]

    asyncio.run(story())


def test_what_is_the_same_may_have_other_numbers() -> None:
    """A message with seconds in it is told once for ten minutes; of another claim it is another one."""

    async def story() -> None:
        api = Api()
        queue = EventQueue(api, FakeClock())
        for second in range(5):
            queue.emit("R", f"since {second} s", claim=("ns", "c", "u"), same="since")
        queue.emit("R", "since 9 s", claim=("ns", "d", "v"), same="since")
        await _drain(queue)
        assert api.posted == [("R", "ns/c: since 0 s"), ("R", "ns/d: since 9 s")]

    asyncio.run(story())


def test_what_becomes_of_events_is_counted() -> None:
    """Posted, failed or dropped; what was told before counts as nothing."""

    async def story() -> None:
        api, found = Api(), Counter[str]()
        queue = EventQueue(api, FakeClock())
        queue.on_event = lambda _, result: found.update([result])
        for number in range(25):
            queue.emit("R", str(number))
            queue.emit("R", str(number))
        await _drain(queue)
        api.down = True
        queue.emit("R", "0")
        assert found == {"posted": 20, "dropped": 10}

    asyncio.run(story())


def test_an_event_outlasts_a_short_absence_of_the_server() -> None:
    """It is tried again with growing pauses, and posted once the server is back; those behind it follow."""

    async def story() -> None:
        api, clock = Api(), FakeClock()
        queue = EventQueue(api, clock)
        api.down = True
        queue.emit("R", "first")
        queue.emit("R", "second")
        task = asyncio.create_task(queue.run())
        while len(clock.waits) < 4:
            await asyncio.sleep(0)
        api.down = False
        for _ in range(20):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert api.posted == [("R", "first"), ("R", "second")]
        assert clock.waits == sorted(clock.waits)

    asyncio.run(story())


def test_an_event_that_is_refused_is_not_tried_again() -> None:
    """Without the right to post it no number of tries would help."""

    async def story() -> None:
        api, clock = Api(), FakeClock()
        queue = EventQueue(api, clock)
        api.refuses = True
        queue.emit("R", "one")
        await _drain(queue)
        assert clock.waits == []

    asyncio.run(story())

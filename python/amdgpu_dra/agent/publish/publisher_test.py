"""Publishing: what is wanted gets there, stays there, and is never taken away."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from fractions import Fraction

import pytest

from amdgpu_dra.agent.publish import Publisher, Support
from amdgpu_dra.api.resource import CounterConsumption, CounterSet, Device, SliceEvent
from amdgpu_dra.testing.fakes import FakeClock, FakeSlices

DEVICES = (Device(name="gpu-0"), Device(name="gpu-1"))
NAME = "00000-gpu.amd.com-n"


def _run(api: FakeSlices, story: Callable[[Publisher, FakeClock], Awaitable[None]]) -> FakeClock:
    """Runs a publisher beside a story, and ends it with the story."""
    clock = FakeClock()

    async def both() -> None:
        publisher = Publisher(api, clock, node="n")
        task = asyncio.create_task(publisher.run())
        async with asyncio.timeout(10):
            await story(publisher, clock)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(both())
    return clock


async def _until(look: Callable[[], bool]) -> None:
    while not look():
        await asyncio.sleep(0)


def _published(api: FakeSlices) -> list[str]:
    return [device.name for name in sorted(api.slices) for device in api.slices[name].devices]


def test_devices_are_published_once() -> None:
    """Wanting the same again writes nothing more."""
    api = FakeSlices()

    async def story(publisher: Publisher, _clock: FakeClock) -> None:
        publisher.want(DEVICES)
        await _until(lambda: publisher.not_ready is None)
        publisher.want(DEVICES)
        publisher.want(DEVICES)
        for _ in range(20):
            await asyncio.sleep(0)

    _run(api, story)
    assert _published(api) == ["gpu-0", "gpu-1"]
    assert api.writes == 1
    assert api.slices[NAME].owner_uid == "node-uid"


def test_a_second_start_leaves_everything_alone() -> None:
    """Names and generation stay, and nothing is written."""
    api = FakeSlices()

    async def story(publisher: Publisher, _clock: FakeClock) -> None:
        publisher.want(DEVICES)
        await _until(lambda: publisher.not_ready is None)

    _run(api, story)
    before, api.writes = dict(api.slices), 0
    _run(api, story)

    assert before == api.slices
    assert api.writes == 0


def test_slices_stay_at_the_end() -> None:
    """The kubelet takes them away if the driver stays away; the driver never does."""
    api = FakeSlices()

    async def story(publisher: Publisher, _clock: FakeClock) -> None:
        publisher.want(DEVICES)
        await _until(lambda: publisher.not_ready is None)

    _run(api, story)
    assert NAME in api.slices


def test_a_deleted_slice_comes_back() -> None:
    """As after a restart of the kubelet, which wipes them."""
    api = FakeSlices()

    async def story(publisher: Publisher, _clock: FakeClock) -> None:
        publisher.want(DEVICES)
        await _until(lambda: NAME in api.slices)
        await asyncio.sleep(0.01)
        api.take(NAME)
        await _until(lambda: NAME in api.slices)

    _run(api, story)


def test_a_foreign_change_is_undone() -> None:
    """Whatever others write into our slice, it becomes what is wanted again."""
    api = FakeSlices()

    async def story(publisher: Publisher, _clock: FakeClock) -> None:
        publisher.want(DEVICES)
        await _until(lambda: NAME in api.slices)
        await asyncio.sleep(0.01)
        api.put(replace(api.slices[NAME], devices=()))
        await _until(lambda: _published(api) == ["gpu-0", "gpu-1"])

    _run(api, story)


def test_other_devices_are_published_when_they_are_wanted() -> None:
    """A GPU that came or went changes the slice."""
    api = FakeSlices()

    async def story(publisher: Publisher, _clock: FakeClock) -> None:
        publisher.want(DEVICES)
        await _until(lambda: NAME in api.slices)
        publisher.want(DEVICES[:1])
        await _until(lambda: _published(api) == ["gpu-0"])

    _run(api, story)


def test_the_api_away_is_waited_for_with_growing_delays() -> None:
    """It is not ready and says why; delays grow to a minute; on return everything is published."""
    api = FakeSlices()
    api.down = True

    async def story(publisher: Publisher, clock: FakeClock) -> None:
        publisher.want(DEVICES)
        assert publisher.not_ready == "the slices have not been written yet"
        await _until(lambda: len(clock.waits) == 12)
        assert "API server" in (publisher.not_ready or "")
        api.down = False
        await _until(lambda: publisher.not_ready is None)

    clock = _run(api, story)
    assert clock.waits[:12] == sorted(clock.waits[:12])
    assert clock.waits[0] < 1
    assert max(clock.waits) <= 60
    assert _published(api) == ["gpu-0", "gpu-1"]


COUNTERS = (CounterSet(name="gpu", counters={"spx-0": Fraction(8)}),)
COUNTED = (
    Device(name="gpu-0", consumes_counters=(CounterConsumption(counter_set="gpu", counters={"spx-0": Fraction(8)}),)),
)


def _run_counting(api: FakeSlices, story: Callable[[Publisher, FakeClock, list[Support]], Awaitable[None]]) -> None:
    """The same with a node that has counters to publish if the cluster keeps them, and else one plain device."""
    clock = FakeClock()

    async def both() -> None:
        publisher = Publisher(api, clock, node="n", with_counters=True)
        answers: list[Support] = []

        def answer(support: Support) -> None:
            answers.append(support)
            if support.counters:
                publisher.want(COUNTED, COUNTERS)

        publisher.on_support = answer
        publisher.want(DEVICES[:1])
        task = asyncio.create_task(publisher.run())
        async with asyncio.timeout(10):
            await story(publisher, clock, answers)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(both())


def test_counters_are_published_where_the_cluster_keeps_them() -> None:
    """A trial is made once and leaves nothing; nothing without counters was published before its answer."""
    api = FakeSlices()

    async def story(publisher: Publisher, _clock: FakeClock, _answers: list[Support]) -> None:
        await _until(lambda: publisher.not_ready is None)
        api.take(NAME)
        await _until(lambda: NAME in api.slices)

    _run_counting(api, story)
    assert api.slices[NAME].devices == COUNTED
    assert [item.shared_counters for name, item in sorted(api.slices.items())] == [(), COUNTERS]
    assert api.trials == 2


@pytest.mark.parametrize(
    ("version", "drops", "detail"),
    [("v1.37.0", True, "came back otherwise"), ("v1.34.1", False, "the API server is v1.34.1")],
    ids=["gate-off", "too-old"],
)
def test_without_counters_the_static_layout_is_published(version: str, detail: str, *, drops: bool) -> None:
    """A server that drops them, or is too old, gets plain devices, and the reason can be asked for."""
    api = FakeSlices()
    api.version, api.drops_counters = version, drops

    async def story(publisher: Publisher, _clock: FakeClock, answers: list[Support]) -> None:
        await _until(lambda: publisher.not_ready is None)
        assert publisher.support == answers[-1]
        assert (answers[-1].counters, answers[-1].reason) == (False, "NoCounters")
        assert detail in answers[-1].detail

    _run_counting(api, story)
    assert list(api.slices) == [NAME]
    assert api.slices[NAME].devices == DEVICES[:1]


def test_a_server_that_is_away_is_no_answer() -> None:
    """While it cannot be asked nothing is decided; when it is back it is asked."""
    api = FakeSlices()
    api.down = True

    async def story(publisher: Publisher, clock: FakeClock, answers: list[Support]) -> None:
        await _until(lambda: len(clock.waits) == 3)
        assert (publisher.support, answers) == (None, [])
        api.down = False
        await _until(lambda: publisher.not_ready is None)
        assert [support.counters for support in answers] == [True]

    _run_counting(api, story)


def test_a_server_that_learns_counters_gets_them() -> None:
    """After a no it is asked again with each look; a yes stays."""
    api = FakeSlices()
    api.drops_counters = True

    async def story(publisher: Publisher, _clock: FakeClock, answers: list[Support]) -> None:
        await _until(lambda: publisher.not_ready is None)
        api.drops_counters = False
        api.take(NAME)
        await _until(lambda: len(api.slices) == 2)
        assert [support.counters for support in answers] == [False, True]

    _run_counting(api, story)


class _Lingering(FakeSlices):
    """Its watch takes a while to end, as that of a connection does."""

    def __init__(self) -> None:
        super().__init__()
        self.ending, self.may_end = asyncio.Event(), asyncio.Event()

    async def watch_slices(self, version: str, seconds: int) -> AsyncGenerator[SliceEvent]:
        """See the port."""
        try:
            async for event in super().watch_slices(version, seconds):
                yield event
        finally:
            self.ending.set()
            await self.may_end.wait()


def test_a_stop_while_a_watch_ends_is_not_lost() -> None:
    """Other devices are wanted, the watch is on its way out, and the publisher is told to end: it does."""
    api = _Lingering()

    async def both() -> None:
        publisher = Publisher(api, FakeClock(), node="n")
        publisher.want(DEVICES)
        task = asyncio.create_task(publisher.run())
        async with asyncio.timeout(10):
            await _until(lambda: publisher.not_ready is None)
            # The watch is under way once the publisher has nothing to do at once.
            for _ in range(5):
                await asyncio.sleep(0)
            publisher.want(DEVICES[:1])
            await api.ending.wait()
            task.cancel()
            api.may_end.set()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(both())
    assert _published(api) == ["gpu-0", "gpu-1"]

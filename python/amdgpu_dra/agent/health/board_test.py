"""Watchers are told at once, on change and again, and never that an old look is a new one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.agent.health import AGAIN, LEASE, HealthBoard
from amdgpu_dra.core.devices import list_devices
from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.core.gpu import Inventory, parse
from amdgpu_dra.core.health import Health, Report
from amdgpu_dra.edge.faketree import read_fleet
from amdgpu_dra.testing.fakes import FakeClock

WHOLE = parse(render(read_fleet("mi300x-8-spx")))
LESS = replace(WHOLE, gpus=WHOLE.gpus[1:])
type Story = Callable[[HealthBoard, FakeClock], Awaitable[None]]


def _tell(story: Story) -> None:
    async def run() -> None:
        clock = FakeClock()
        board = HealthBoard(clock, interval=5.0)
        _look(board, WHOLE)
        # Only a fault waits at all: the clock is a fake.
        async with asyncio.timeout(10):
            await story(board, clock)

    asyncio.run(run())


def _look(board: HealthBoard, inventory: Inventory) -> None:
    board.note_look()
    board.judge(inventory, list_devices(inventory))


def _healths(report: Report) -> set[Health]:
    return {item.health for item in report.devices}


async def _settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


class _Watcher:
    """Collects what one watch says."""

    def __init__(self, reports: AsyncIterator[Report]) -> None:
        self.heard: list[Report] = []
        self.task = asyncio.create_task(self._run(reports))

    async def _run(self, reports: AsyncIterator[Report]) -> None:
        async for report in reports:
            self.heard.append(report)


def test_every_watcher_hears_at_once_and_on_change() -> None:
    """Two that began at different times hear the same change, each once."""

    async def story(board: HealthBoard, _clock: FakeClock) -> None:
        first = _Watcher(board.watch())
        await _settle()
        second = _Watcher(board.watch())
        await _settle()
        assert [len(watcher.heard) for watcher in (first, second)] == [1, 1]
        _look(board, LESS)
        await _settle()
        assert [[report.devices[0].health for report in watcher.heard] for watcher in (first, second)] == [
            [Health.HEALTHY, Health.UNHEALTHY]
        ] * 2
        _look(board, LESS)
        await _settle()
        assert [len(watcher.heard) for watcher in (first, second)] == [2, 2]
        board.close()
        await asyncio.gather(first.task, second.task)

    _tell(story)


def test_a_change_while_a_report_is_sent_is_not_missed() -> None:
    """A slow stream hears of it right after, without any time passing."""

    async def story(board: HealthBoard, _clock: FakeClock) -> None:
        reports = board.watch()
        assert _healths(await anext(reports)) == {Health.HEALTHY}
        _look(board, LESS)
        assert Health.UNHEALTHY in _healths(await anext(reports))

    _tell(story)


def test_an_unchanged_report_comes_again_with_the_age_of_its_look() -> None:
    """Every 20 s; a look in between makes it young, none leaves it as old as it is."""

    async def story(board: HealthBoard, clock: FakeClock) -> None:
        watcher = _Watcher(board.watch())
        await _settle()
        clock.run_out(AGAIN)
        await _settle()
        board.note_look()
        clock.run_out(AGAIN / 2)
        await _settle()
        assert [report.age for report in watcher.heard] == [0, AGAIN, AGAIN / 2]
        # Offering the same inventory anew, for other reasons, is no look.
        board.judge(WHOLE, list_devices(WHOLE))
        assert board.report().age == AGAIN / 2
        board.close()
        await watcher.task

    _tell(story)


@given(st.lists(st.tuples(st.sampled_from(["look", "fail", "wait"]), st.integers(1, 100)), max_size=20))
def test_health_is_never_older_than_the_lease(steps: list[tuple[str, int]]) -> None:
    """Whatever happens when: healthy is said only within 60 s of a look that gave an answer, and after no failure."""

    async def story(board: HealthBoard, clock: FakeClock) -> None:
        looked, failed = clock.now(), False
        for what, seconds in steps:
            if what == "wait":
                clock.run_out(seconds)
            else:
                failed = what == "fail"
                board.note_look("EIO" if failed else "")
                looked = looked if failed else clock.now()
            known = not failed and clock.now() - looked <= LEASE
            assert _healths(board.report()) == {Health.HEALTHY if known else Health.UNKNOWN}

    _tell(story)


def test_a_failed_look_is_told_at_once() -> None:
    """With its reason; the next look that gives an answer ends it, at once as well."""

    async def story(board: HealthBoard, _clock: FakeClock) -> None:
        watcher = _Watcher(board.watch())
        await _settle()
        board.note_look("sysfs root /sys: no such folder")
        await _settle()
        board.note_look()
        await _settle()
        assert [_healths(report) for report in watcher.heard] == [
            {Health.HEALTHY},
            {Health.UNKNOWN},
            {Health.HEALTHY},
        ]
        assert "sysfs root /sys: no such folder" in watcher.heard[1].devices[0].message
        board.close()
        await watcher.task

    _tell(story)


def test_long_pauses_between_looks_are_not_taken_for_a_wedged_reader() -> None:
    """An interval of 50 s may pass three times before nothing is known."""
    assert HealthBoard(FakeClock(), interval=50.0).longest == 150
    assert HealthBoard(FakeClock(), interval=5.0).longest == LEASE


def test_closing_ends_watches_that_begin_later_too() -> None:
    """None of them says anything more."""

    async def story(board: HealthBoard, _clock: FakeClock) -> None:
        board.close()
        assert [report async for report in board.watch()] == []

    _tell(story)


def test_before_the_first_look_nothing_is_known() -> None:
    """A report without devices and without an age."""
    assert HealthBoard(FakeClock(), interval=5.0).report() == Report(devices=(), age=None, lease=LEASE)


def test_what_a_claim_cannot_use_is_unhealthy_with_the_reason() -> None:
    """At once, as when another board stands at its GPU's address; and healthy again when the claim is mended."""

    async def story(board: HealthBoard, _clock: FakeClock) -> None:
        watcher = _Watcher(board.watch())
        await _settle()
        name = watcher.heard[0].devices[0].name
        board.withdraw({name: "claim ns/c: ClaimQuarantined: another GPU", "stranger": "x"})
        await _settle()
        first, *rest = watcher.heard[1].devices
        assert (first.health, first.message) == (Health.UNHEALTHY, "claim ns/c: ClaimQuarantined: another GPU")
        assert {item.health for item in rest} == {Health.HEALTHY}
        # The same once more is no news, and a look at the GPUs does not make it good.
        board.withdraw({name: "claim ns/c: ClaimQuarantined: another GPU", "stranger": "x"})
        _look(board, WHOLE)
        await _settle()
        assert len(watcher.heard) == 2
        board.withdraw({})
        await _settle()
        assert _healths(watcher.heard[-1]) == {Health.HEALTHY}
        board.close()
        await watcher.task

    _tell(story)

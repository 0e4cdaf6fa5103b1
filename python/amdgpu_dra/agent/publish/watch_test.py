"""Watching costs the API server little, and misses nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import pairwise

from amdgpu_dra.agent.publish import Publisher
from amdgpu_dra.agent.publish.watch import LONGEST, SHORTEST, SILENCE
from amdgpu_dra.api.resource import Device
from amdgpu_dra.testing.fakes import FakeClock, FakeSlices

DEVICES = (Device(name="gpu-0"), Device(name="gpu-1"))
NAME = "00000-gpu.amd.com-n"


class Scene:
    """A publisher at work, whose devices are published and watched."""

    def __init__(self) -> None:
        self.api, self.clock = FakeSlices(), FakeClock()
        self.publisher = Publisher(self.api, self.clock, node="n")

    async def rest(self) -> None:
        """Lets everything happen that needs no time."""
        for _ in range(60):
            await asyncio.sleep(0)

    async def end_watch(self) -> None:
        """The server ends the watch when its time is over."""
        self.clock.pass_by(SHORTEST)
        self.api.end_watches()
        await self.rest()


def _play(act: Callable[[Scene], Awaitable[None]]) -> None:
    async def story() -> None:
        scene = Scene()
        scene.publisher.want(DEVICES)
        task = asyncio.create_task(scene.publisher.run())
        try:
            async with asyncio.timeout(10):
                await scene.rest()
                assert (scene.api.lists, len(scene.api.watches)) == (1, 1)
                await act(scene)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(story())


def test_a_watch_that_ends_is_gone_on_with() -> None:
    """The server ends one after another: each begins where the last one ended, and nothing is listed again."""

    async def act(scene: Scene) -> None:
        for _ in range(20):
            await scene.end_watch()
        assert (scene.api.lists, len(scene.api.watches)) == (1, 21)
        assert {version for version, _ in scene.api.watches[1:]} == {scene.api.slices[NAME].resource_version}
        assert {SHORTEST <= seconds <= LONGEST for _, seconds in scene.api.watches} == {True}
        # Nobody comes back at once: each waits a random part of a second.
        assert scene.clock.waits == [0.5] * 20

    _play(act)


def test_what_happens_between_two_watches_is_not_missed() -> None:
    """A slice that is deleted while no watch is open comes back with the next one."""

    async def act(scene: Scene) -> None:
        scene.api.take(NAME)
        await scene.end_watch()
        await scene.rest()
        assert NAME in scene.api.slices

    _play(act)


def test_a_short_absence_of_the_server_costs_no_list() -> None:
    """A watch that cannot be had is tried again; a list follows only after three in a row."""

    async def act(scene: Scene) -> None:
        scene.api.refused_watches = 2
        await scene.end_watch()
        assert scene.publisher.not_ready is None
        assert (scene.api.lists, len(scene.api.watches)) == (1, 4)
        scene.api.refused_watches = 3
        await scene.end_watch()
        assert (scene.api.lists, len(scene.api.watches)) == (2, 8)

    _play(act)


def test_a_version_that_is_too_old_is_listed_anew() -> None:
    """The server has forgotten what happened since: it says so, and one list puts it right."""

    async def act(scene: Scene) -> None:
        # Nobody tells of this: only a list can show it.
        del scene.api.slices[NAME]
        scene.api.oldest = 10**6
        await scene.end_watch()
        assert NAME in scene.api.slices

    _play(act)


def test_a_silent_watch_is_given_up() -> None:
    """Neither event nor bookmark for minutes: a server that is gone without a word is noticed."""

    async def act(scene: Scene) -> None:
        for _ in range(2):
            scene.clock.run_out(SILENCE)
            await scene.rest()
        assert len(scene.api.watches) == 2
        assert scene.publisher.not_ready is None

    _play(act)


def test_a_race_with_somebody_else_slows_down() -> None:
    """Somebody changes our slice as soon as it is right: the first repair is at once, the later ones wait longer."""

    async def act(scene: Scene) -> None:
        for _ in range(12):
            scene.api.put(replace(scene.api.slices[NAME], devices=()))
            while not scene.api.slices[NAME].devices:
                await asyncio.sleep(0)
            await scene.rest()
        assert len(scene.clock.waits) == 11
        assert all(longer >= shorter for shorter, longer in pairwise(scene.clock.waits))
        assert scene.clock.waits[-1] > 16 * scene.clock.waits[0]

    _play(act)


def test_the_same_devices_ask_nothing() -> None:
    """A look at the node that found what was there before costs the API server no request."""

    async def act(scene: Scene) -> None:
        for _ in range(5):
            scene.publisher.want((Device(name="gpu-0"), Device(name="gpu-1")))
            await scene.rest()
        assert (scene.api.lists, len(scene.api.watches), scene.api.writes) == (1, 1, 1)

    _play(act)


def test_our_own_deletion_is_not_taken_for_that_of_others() -> None:
    """Fewer devices take a slice away; that is one list, and no second one after its event."""

    async def act(scene: Scene) -> None:
        scene.publisher.want(tuple(Device(name=f"gpu-{number}") for number in range(200)))
        await scene.rest()
        lists, slices = scene.api.lists, len(scene.api.slices)
        scene.publisher.want(DEVICES)
        await scene.rest()
        assert (slices > 1, len(scene.api.slices)) == (True, 1)
        assert scene.api.lists == lists + 1

    _play(act)

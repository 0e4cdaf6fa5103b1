"""Two instances of the plugin as real processes on one node: updates, what both are asked, kills, and the way back."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from amdgpu_dra.testing.fakekubelet import FakeKubelet, Plugin, PluginManager
from amdgpu_dra.testing.fakenode import DRIVER, World, tell

GPUS = [f"gpu-0000-{bus}-00-0" for bus in ("05", "26", "46", "65", "85", "a6", "c6", "e5")]
OLD, NEW = "11111111-0000-0000-0000-000000000000", "22222222-0000-0000-0000-000000000000"


def _endpoint(uid: str) -> str:
    return f"dra-{uid}.sock" if uid else "dra.sock"


def _sockets(plugin: Plugin) -> set[str]:
    """Names of all sockets on the node."""
    folders = (plugin.registry, plugin.records.parent)
    return {path.name for folder in folders for path in folder.iterdir() if path.is_socket()}


def _both(uid: str) -> set[str]:
    return {_endpoint(uid), f"{DRIVER}-{uid}-reg.sock" if uid else f"{DRIVER}-reg.sock"}


def _left(plugin: Plugin) -> list[Path]:
    """Records and documents, whole or half written."""
    return [path for folder in (plugin.cdi, plugin.records) for path in folder.iterdir()]


@asynccontextmanager
async def _kubelet(world: World) -> AsyncIterator[PluginManager]:
    manager = PluginManager(world.setting.work / "registry", DRIVER)
    task = asyncio.create_task(manager.run())
    try:
        yield manager
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _launch(world: World, manager: PluginManager, uid: str, *flags: str) -> Plugin:
    """An instance that the kubelet prefers to those before it."""
    before = [Path(item.kubelet.endpoint).name for item in manager.instances]
    plugin = await world.launch(*([f"--pod-uid={uid}"] if uid else []), *flags)
    await manager.wait_instances(*before, _endpoint(uid))
    return plugin


async def _connect(plugin: Plugin, uid: str) -> FakeKubelet:
    """A kubelet that knows this instance alone."""
    kubelet = FakeKubelet(plugin.registry)
    await kubelet.connect(str(plugin.records.parent / _endpoint(uid)))
    return kubelet


def _errors(answers: dict[str, Any]) -> list[str]:
    return [answer.error for answer in answers.values()]


class Stream:
    """Claims that come and go without a pause, one on each GPU; every call has to succeed at once."""

    def __init__(self, manager: PluginManager, claims: list[dict[str, Any]]) -> None:
        self._manager, self._claims = manager, claims
        self._going = True
        self.rounds = 0

    async def run(self) -> None:
        """Until `end`."""
        await asyncio.gather(*(self._come_and_go(claim) for claim in self._claims))

    async def _come_and_go(self, claim: dict[str, Any]) -> None:
        while self._going:
            for call in (self._manager.prepare, self._manager.prepare, self._manager.unprepare):
                assert _errors(await call(claim)) == [""]
            self.rounds += 1

    async def more(self, rounds: int) -> None:
        """Waits until so many more claims have come and gone."""
        goal = self.rounds + rounds
        while self.rounds < goal:
            await asyncio.sleep(0.005)

    def end(self) -> None:
        """Lets the claims go."""
        self._going = False


async def _update(world: World, manager: PluginManager, stream: Stream, old: Plugin) -> Plugin:
    """As a DaemonSet with maxSurge 1 does: the old pod is ended when the new one is ready."""
    await stream.more(20)
    new = await _launch(world, manager, NEW)
    await stream.more(20)
    assert await old.stop() == 0
    await manager.wait_instances(_endpoint(NEW))
    await stream.more(20)
    stream.end()
    return new


def test_an_update_under_calls_fails_none() -> None:
    """Claims come and go without a pause: no call fails, both instances had some, and nothing of the old is left."""

    async def story(world: World) -> None:
        async with _kubelet(world) as manager:
            old = await _launch(world, manager, OLD)
            before = await world.published()
            stream = Stream(manager, [await world.claim(f"c{index}", gpu) for index, gpu in enumerate(GPUS)])
            async with asyncio.TaskGroup() as group:
                group.create_task(stream.run())
                new = await _update(world, manager, stream, old)
            assert set(manager.calls) == {_endpoint(OLD), _endpoint(NEW)}
            assert manager.empty == 0
            assert _sockets(new) == _both(NEW)
            assert _left(new) == []
            assert before == await world.client.slices()
            assert await new.stop() == 0
            assert _sockets(new) == set()

    tell(story, seconds=250)


def test_a_call_in_flight_ends_with_the_old_instance() -> None:
    """Beside a new one, SIGTERM lets a Prepare end before the kubelet is told: a kubelet closes the connection then."""

    async def story(world: World) -> None:
        async with _kubelet(world) as manager:
            old = await _launch(world, manager, OLD)
            claim = await world.claim("c", GPUS[0])
            await world.published()
            world.api.answering.clear()
            asked = len(world.api.requests)
            call = asyncio.create_task(manager.prepare(claim))
            while len(world.api.requests) == asked:
                await asyncio.sleep(0.005)
            new = await _launch(world, manager, NEW)
            old.process.send_signal(signal.SIGTERM)
            while b"stopping" not in old.log.read_bytes():
                await asyncio.sleep(0.005)
            assert _both(OLD) <= _sockets(old)
            world.api.answering.set()
            assert _errors(await call) == [""]
            assert await old.process.wait() == 0
            assert _sockets(new) == _both(NEW)
            assert _errors(await manager.unprepare(claim)) == [""]
            assert _left(new) == []

    tell(story, seconds=250)


@pytest.mark.parametrize("fleet", ["mi300x-8-spx", "mi300x-8-cpx"])
def test_of_two_claims_on_one_device_one_is_refused(fleet: str) -> None:
    """Whichever instance each is asked of, at once: one is prepared, and the other's error names it."""
    device = GPUS[0] if fleet.endswith("spx") else f"{GPUS[0]}-cpx-3"

    async def story(world: World) -> None:
        async with _kubelet(world) as manager:
            old, new = await _launch(world, manager, OLD), await _launch(world, manager, NEW)
            both = [await _connect(old, OLD), await _connect(new, NEW)]
            claims = [await world.claim(name, device) for name in ("one", "two")]
            won = set[int]()
            for turn in range(24):
                calls = zip(both if turn % 2 else reversed(both), claims, strict=True)
                answers = await asyncio.gather(*(kubelet.prepare(claim) for kubelet, claim in calls))
                errors = [error for answer in answers for error in _errors(answer)]
                assert sorted(map(bool, errors)) == [False, True]
                assert "prepared for claim default/" in max(errors)
                won.add(errors.index(""))
                # Released by either, and known to the other at once.
                for claim in claims:
                    assert _errors(await both[turn // 2 % 2].unprepare(claim)) == [""]
            assert won == {0, 1}
            assert _left(new) == []
            for kubelet in both:
                await kubelet.close()

    tell(story, fleet=fleet, seconds=250)


def test_either_may_be_killed_at_any_time() -> None:
    """Under calls to both an instance is killed: what it held or had begun is known to the other, which ends it."""

    async def story(world: World) -> None:
        async with _kubelet(world) as manager:
            claims = [await world.claim(f"c{index}", gpu) for index, gpu in enumerate(GPUS)]
            rivals = [await world.claim(f"r{index}", gpu) for index, gpu in enumerate(GPUS)]
            uids = [f"{number:08x}-0000-0000-0000-000000000000" for number in range(1, 8)]
            alive = {uids[0]: await _launch(world, manager, uids[0])}
            for number, uid in enumerate(uids[1:]):
                alive[uid] = await _launch(world, manager, uid)
                victim = list(alive)[number % 2]
                killed = alive.pop(victim)
                (other,) = alive.items()
                theirs, ours = await _connect(killed, victim), await _connect(other[1], other[0])
                calls = [asyncio.create_task(theirs.prepare(claim)) for claim in claims]
                calls += [asyncio.create_task(ours.prepare(claim)) for claim in rivals]
                # Some rounds further each time, so that the kill meets other moments.
                await asyncio.wait(calls, timeout=0.004 * number)
                await killed.stop(signal.SIGKILL)
                await theirs.close()
                await asyncio.gather(*calls, return_exceptions=True)
                for claim, rival in zip(claims, rivals, strict=True):
                    answers = _errors(await ours.prepare(claim)) + _errors(await ours.prepare(rival))
                    assert sorted(map(bool, answers)) == [False, True], answers
                for claim in claims + rivals:
                    assert _errors(await ours.unprepare(claim)) == [""]
                await ours.close()
                assert [path for path in _left(other[1]) if path.suffix != ".tmp"] == []
                manager.instances = [item for item in manager.instances if victim not in item.kubelet.endpoint]
                for name in _both(victim):
                    (killed.registry / name).unlink(missing_ok=True)

    tell(story, seconds=250)


def test_the_newer_one_publishes() -> None:
    """An old version never undoes what a new one published; it publishes again when that one is no more."""

    async def story(world: World) -> None:
        async with _kubelet(world) as manager:
            flags = ("--feature-gates=DynamicPartitioning=true", "--repartition=per-gpu", "--rescan-interval=0.05")
            await _launch(world, manager, OLD, *flags)
            while len(await world.devices()) != 120:
                await asyncio.sleep(0.01)
            new = await _launch(world, manager, NEW, "--rescan-interval=0.05")
            while len(await world.devices()) != 8:
                await asyncio.sleep(0.01)
            # The new one repairs what others change, and the old one has no part in it.
            (item,) = await world.published()
            await world.client.call("DELETE", f"/apis/resource.k8s.io/v1/resourceslices/{item['metadata']['name']}")
            while len(await world.devices()) != 8:
                await asyncio.sleep(0.01)
            assert b"another instance of the plugin publishes" in new.log.read_bytes()
            await new.stop(signal.SIGKILL)
            while len(await world.devices()) != 120:
                await asyncio.sleep(0.01)

    tell(story, seconds=250)


def test_a_process_takes_the_place_of_one_with_the_same_sockets() -> None:
    """Without a pod's UID: the new process has the sockets from its start on, and the end of the old takes none."""

    async def story(world: World) -> None:
        async with _kubelet(world) as manager:
            old = await _launch(world, manager, "")
            claim = await world.claim("c", GPUS[0])
            assert _errors(await manager.prepare(claim)) == [""]
            first = manager.instances[0].inode
            new = await world.launch()
            while not manager.instances or manager.instances[0].inode == first:
                await asyncio.sleep(0.005)
            assert await old.stop() == 0
            assert _sockets(new) == _both("")
            assert _errors(await manager.unprepare(claim)) == [""]
            assert _left(new) == []
            assert await new.stop() == 0
            assert _sockets(new) == set()

    tell(story, seconds=250)


def test_the_way_back_to_one_socket() -> None:
    """After a downgrade the sockets of a killed instance are swept, those of a living one are not, claims are held."""

    async def story(world: World) -> None:
        async with _kubelet(world) as manager:
            dead, alive = await _launch(world, manager, OLD), await _launch(world, manager, NEW)
            claim, other = await world.claim("c", GPUS[0]), await world.claim("other", GPUS[0])
            assert _errors(await manager.prepare(claim)) == [""]
            await dead.stop(signal.SIGKILL)
            assert _both(OLD) <= _sockets(alive)
            await world.launch()
            await manager.wait_instances(_endpoint(NEW), _endpoint(""))
            assert _sockets(alive) == _both(NEW) | _both("")
            await alive.stop()
            await manager.wait_instances(_endpoint(""))
            assert "prepared for claim default/c" in _errors(await manager.prepare(other))[0]
            assert _errors(await manager.unprepare(claim)) == [""]
            assert _left(alive) == []

    tell(story, seconds=250)

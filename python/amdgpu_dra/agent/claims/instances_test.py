"""Two instances of the plugin over one folder, with real files and locks: no order of calls and kills confuses them."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amdgpu_dra.agent.claims import ClaimManager, ClaimRef, Paths, Survey, Switcher, Verifier, World
from amdgpu_dra.api.checkpoint import Record, State
from amdgpu_dra.api.resource import Claim, DeviceResult
from amdgpu_dra.core.claims import split_name
from amdgpu_dra.core.devices import Layout, device_name, list_devices
from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.core.gpu import Inventory, PciAddress, parse
from amdgpu_dra.core.switch import Outcome
from amdgpu_dra.edge.disk import CdiDirectory, InstanceFile, RecordFiles
from amdgpu_dra.edge.faketree import read_fleet
from amdgpu_dra.testing.fakes import FakeClaims, FakeClock, FakeEvents, FakeGpus, FakeNodes

FLEET = read_fleet("mi300x-8-spx")
ADDRESSES = {device_name(gpu.address, None, 0): gpu.address for gpu in FLEET.gpus[:2]}
ONE, TWO = ADDRESSES
# a and b have one GPU in two modes, c shares a's mode and has one of its partitions too, d shares it and has another,
# e has the other GPU as well, of which f has the same partition, and m is a monitor that takes what there is.
WANTS = {
    "a": [f"{ONE}-cpx-{index}" for index in range(4)],
    "b": [ONE],
    "c": [f"{ONE}-cpx-3"],
    "d": [f"{ONE}-cpx-7"],
    "e": [f"{ONE}-cpx-6", f"{TWO}-dpx-0"],
    "f": [f"{TWO}-dpx-0"],
    "m": [f"{TWO}-dpx-1"],
}


def _show(modes: tuple[str, ...]) -> Inventory:
    gpus = tuple(replace(gpu, compute=mode) for gpu, mode in zip(FLEET.gpus, modes, strict=False))
    return parse(render(replace(FLEET, gpus=gpus)))


class Killed(BaseException):
    """The process was killed here."""


class Clock(FakeClock):
    """Waits that pass at once, and cost no time: a lock may be asked for as often as it takes."""

    async def sleep(self, seconds: float) -> None:
        """See the port."""
        self.waits.append(seconds)
        await asyncio.sleep(0)


class Gpus(FakeGpus):
    """The node's GPUs, which both instances see. No GPU is switched twice at once, or away from a prepared claim."""

    def __init__(self, records: Callable[[], list[Record]]) -> None:
        super().__init__(_show, "SPX", "SPX")
        self._records = records
        self.writing = set[PciAddress]()
        self.read_without: list[frozenset[PciAddress]] = []
        self.amid_reading: Callable[[], Awaitable[None]] | None = None
        self.amid_look: list[Callable[[], Awaitable[None]] | None] = []

    async def read_inventory(self, *, without_modes: frozenset[PciAddress] = frozenset()) -> Inventory:
        """See the port."""
        self.read_without.append(without_modes)
        if self.amid_reading is not None:
            event, self.amid_reading = self.amid_reading, None
            await event()
        return await super().read_inventory(without_modes=without_modes)

    async def find_generation(self) -> int | None:
        """See the port; before the answer arrives something else may happen."""
        found = await super().find_generation()
        event = self.amid_look.pop(0) if self.amid_look else None
        if event is not None:
            await event()
        return found

    async def write_mode(self, address: PciAddress, mode: str) -> Outcome:
        """See the port."""
        assert address not in self.writing
        self.writing.add(address)
        try:
            outcome = await super().write_mode(address, mode)
        finally:
            self.writing.discard(address)
        for record in self._records():
            for held in record.devices if record.state == State.READY else ():
                gpu, wanted = split_name(held.device)
                assert held.admin_access or ADDRESSES[gpu] != address or wanted == mode, (record, mode)
        return outcome


class Instance:
    """One instance; it can be killed before any change of a file."""

    def __init__(self, node: "Node") -> None:
        self.left: int | None = None
        self.file = InstanceFile(str(node.folder))
        records, cdi = RecordFiles(str(node.folder / "claims")), CdiDirectory(str(node.folder / "cdi"))
        clock, survey = Clock(), Survey(node.gpus, self.file)
        survey.offer = lambda inventory: list_devices(inventory, Layout(dynamic=True))
        self.survey, self.events = survey, FakeEvents()
        self.switcher = Switcher(survey, node.gpus, clock, self.events, idle_mode=node.idle_mode)
        paths = Paths(node="n", dev_root="/dev", boot_id="b")
        world = World(
            api=node.claims,
            nodes=FakeNodes(),
            store=_Stepping(records, self._step),
            cdi=_Stepping(cdi, self._step),
            clock=clock,
            instances=self.file,
        )
        self.manager = ClaimManager(paths, world, survey, self.switcher)
        self.verifier = Verifier(paths, world, survey, self.manager, self.events)
        self.manager.load()
        self.file.lead()

    def _step(self) -> None:
        if self.left is not None:
            if self.left == 0:
                raise Killed
            self.left -= 1

    async def call(self, verb: str, uid: str) -> str:
        """The error, or nothing."""
        call = self.manager.prepare if verb == "prepare" else self.manager.unprepare
        return (await call([ClaimRef(uid, "ns", uid)]))[uid].error

    async def rest(self) -> None:
        """Returns when nothing is being switched."""
        while self.switcher.moving:
            await asyncio.sleep(0)

    async def close(self) -> None:
        """The end of the process."""
        await self.switcher.close()
        self.file.close()


class _Stepping:
    """A store or folder whose changes are steps."""

    def __init__(self, real: Any, step: Callable[[], None]) -> None:
        self._real, self._step = real, step

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def save(self, record: Record) -> None:
        """A step."""
        self._step()
        self._real.save(record)

    def drop(self, uid: str) -> None:
        """A step."""
        self._step()
        self._real.drop(uid)

    def write(self, uid: str, document: Mapping[str, Any]) -> bool:
        """A step."""
        self._step()
        return bool(self._real.write(uid, document))

    def remove(self, uid: str) -> None:
        """A step."""
        self._step()
        self._real.remove(uid)


class Node:
    """A folder, two GPUs, and two instances."""

    def __init__(self, folder: Path, idle_mode: str = "") -> None:
        self.folder, self.idle_mode = folder, idle_mode
        self.claims = FakeClaims()
        for uid, devices in WANTS.items():
            results = tuple(
                DeviceResult(request="r", driver="gpu.amd.com", pool="n", device=name, admin_access=uid == "m")
                for name in devices
            )
            self.claims.add(Claim(namespace="ns", name=uid, uid=uid, results=results, reserved=True))
        self.gpus = Gpus(self.records)
        self.instances = [Instance(self), Instance(self)]

    def records(self) -> list[Record]:
        """What is on disk."""
        return list(RecordFiles(str(self.folder / "claims")).load().records)

    def documents(self) -> set[str]:
        """Claims with a document."""
        return set(CdiDirectory(str(self.folder / "cdi")).claims())

    async def kill(self, which: int) -> None:
        """Ends an instance, and starts another in its place."""
        await self.instances[which].close()
        self.instances[which] = Instance(self)

    def check(self) -> None:
        """No device belongs to two claims, no GPU is held in two modes, and no document belongs to none."""
        records = [record for record in self.records() if record.uid != "m"]
        held = [device.device for record in records for device in record.devices]
        assert len(held) == len(set(held))
        modes = dict(split_name(name) for name in held)
        assert all(modes[gpu] == mode for gpu, mode in map(split_name, held))
        assert self.documents() <= {record.uid for record in self.records()}
        for record in records:
            for device in record.devices if record.state == State.READY else ():
                gpu, mode = split_name(device.device)
                assert self.gpus.modes[ADDRESSES[gpu]] == mode


def _play(story: Callable[[Node], Awaitable[None]], idle_mode: str = "") -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            node = Node(Path(folder), idle_mode)
            await story(node)
            for instance in node.instances:
                await instance.close()

    asyncio.run(run())


CALLS = st.tuples(
    st.integers(0, 1), st.sampled_from(["prepare", "prepare", "unprepare"]), st.sampled_from(sorted(WANTS))
)
KILLS = st.tuples(st.integers(0, 1), st.integers(0, 7))
TURNS = st.lists(st.tuples(st.lists(CALLS, min_size=1, max_size=4), st.none() | KILLS), max_size=6)


@settings(deadline=None, max_examples=40)
@given(TURNS, st.sampled_from(["", "SPX", "QPX"]))
def test_any_calls_and_kills_of_both_are_survived(
    turns: list[tuple[list[tuple[int, str, str]], tuple[int, int] | None]], idle: str
) -> None:
    """After calls to both at once no device has two owners, what was answered is on disk, and all can be released."""

    async def story(node: Node) -> None:
        for calls, kill in turns:
            if kill is not None:
                node.instances[kill[0]].left = kill[1]
            answers = await asyncio.gather(
                *(node.instances[which].call(verb, uid) for which, verb, uid in calls), return_exceptions=True
            )
            if Killed in map(type, answers):
                assert kill is not None
                await node.kill(kill[0])
            for instance in node.instances:
                instance.left = None
                await instance.rest()
            node.check()
            for (_, verb, uid), answer in zip(calls, answers, strict=True):
                if [call[2] for call in calls].count(uid) == 1 and answer == "":
                    states = [record.state for record in node.records() if record.uid == uid]
                    assert states == ([State.READY] if verb == "prepare" else [])
        for number, uid in enumerate(WANTS):
            assert await node.instances[number % 2].call("unprepare", uid) == ""
        assert (node.records(), node.documents()) == ([], set())
        for instance in node.instances:
            assert await instance.call("unprepare", "stranger") == ""
            assert instance.manager.records == []

    _play(story, idle)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, 1), min_size=2, max_size=6), st.sampled_from(["abcd", "cca", "ddbb"]))
def test_calls_for_one_gpu_never_wait_for_ever(which: list[int], uids: str) -> None:
    """Both are asked for claims of one GPU, each many times at once: every call is answered."""

    async def story(node: Node) -> None:
        calls = [node.instances[number].call("prepare", uid) for number in which for uid in uids]
        answers = await asyncio.wait_for(asyncio.gather(*calls), 60)
        assert "" in answers
        node.check()

    _play(story)


def test_verifiers_side_by_side_mend_once() -> None:
    """Of a claim whose record was lost one makes a record, the other finds it; a rival's device is not given away."""

    async def story(node: Node) -> None:
        one, two = node.instances
        assert await one.call("prepare", "d") == ""
        (node.folder / "claims" / "d.json").write_text("torn")
        await node.kill(0)
        await node.kill(1)
        one, two = node.instances
        await asyncio.gather(one.verifier.look(), two.verifier.look(), one.call("prepare", "b"))
        node.check()
        assert len(one.events.told) + len(two.events.told) == 1

    _play(story)


def test_who_is_left_alone_brings_gpus_to_rest_that_the_other_did_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """An instance ends a claim and goes before its GPU is in the idle mode: the one that stays sees to that, once."""

    async def story(node: Node) -> None:
        going, staying = node.instances
        task = asyncio.create_task(staying.verifier.run_after_others())
        assert not await going.call("prepare", "a")
        monkeypatch.setattr(going.switcher, "rest", lambda _addresses: None)
        assert not await going.call("unprepare", "a")
        for _ in range(20):
            await asyncio.sleep(0)
        assert node.gpus.modes[ADDRESSES[ONE]] == "CPX"
        await going.close()
        reads = node.claims.reads
        while node.gpus.modes[ADDRESSES[ONE]] != "SPX":
            await asyncio.sleep(0)
        await staying.rest()
        assert node.claims.reads == reads
        looks = len(node.gpus.read_without)
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(node.gpus.read_without) == looks
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        node.instances.remove(going)

    _play(story, idle_mode="SPX")


def test_a_gpu_that_another_instance_switches_is_left_alone() -> None:
    """Its mode file is not read, it is shown as before, and who wants it waits; other GPUs' claims go on."""

    async def story(node: Node) -> None:
        one, two = node.instances
        await two.survey.refresh()
        gate = node.gpus.gates[ADDRESSES[ONE]] = asyncio.Event()
        slow = asyncio.create_task(one.call("prepare", "a"))
        while not node.gpus.writing:
            await asyncio.sleep(0)
        node.gpus.read_without.clear()
        before = two.survey.inventory
        await two.survey.refresh()
        assert node.gpus.read_without == [{ADDRESSES[ONE]}]
        assert two.survey.inventory == before
        assert not two.survey.unknown
        assert await two.call("prepare", "m") == ""
        same = asyncio.create_task(two.call("prepare", "d"))
        for _ in range(50):
            await asyncio.sleep(0)
        assert not slow.done()
        assert not same.done()
        gate.set()
        assert list(await asyncio.gather(slow, same)) == ["", ""]
        assert [mode for address, mode in node.gpus.writes if address == ADDRESSES[ONE]] == ["CPX"]

    _play(story)


def test_what_was_read_amid_a_switch_is_read_again_when_it_has_ended() -> None:
    """The reading began before the write took effect and ended after: its count is the new one, its mode the old."""

    async def story(node: Node) -> None:
        one, two = node.instances
        assert await one.call("prepare", "f") == ""
        await two.survey.refresh()
        gate = node.gpus.gates[ADDRESSES[TWO]] = asyncio.Event()
        assert await one.call("unprepare", "f") == ""
        while ADDRESSES[TWO] not in node.gpus.writing:
            await asyncio.sleep(0)

        async def end() -> None:
            gate.set()
            await one.rest()

        node.gpus.amid_reading = end
        await two.survey.refresh()
        listing = await two.survey.get_listing()
        device = listing.find(TWO)
        assert device is not None
        assert device.is_current

    _play(story, "SPX")


@pytest.mark.parametrize("uid", ["e", "f"])
@pytest.mark.parametrize("looks", range(6))
def test_a_switch_of_another_instance_is_noticed_whenever_it_ends(uid: str, looks: int) -> None:
    """A GPU goes to rest while another instance prepares a claim on it: in the end it is in the claim's mode."""

    async def story(node: Node) -> None:
        one, two = node.instances
        assert await one.call("prepare", uid) == ""
        await two.survey.refresh()
        gate = node.gpus.gates[ADDRESSES[TWO]] = asyncio.Event()
        assert await one.call("unprepare", uid) == ""
        while ADDRESSES[TWO] not in node.gpus.writing:
            await asyncio.sleep(0)

        async def end() -> None:
            gate.set()
            await one.rest()

        node.gpus.amid_look = [None] * looks + [end]
        call = asyncio.create_task(two.call("prepare", uid))
        for _ in range(500):
            await asyncio.sleep(0)
        await end()
        assert await call == ""
        node.check()

    _play(story, "SPX")


def test_an_instance_that_starts_amid_a_switch_knows_what_it_does_not_know() -> None:
    """A GPU that it has never seen in a mode is unknown until the switch is over; its claims wait for that."""

    async def story(node: Node) -> None:
        gate = node.gpus.gates[ADDRESSES[ONE]] = asyncio.Event()
        slow = asyncio.create_task(node.instances[0].call("prepare", "a"))
        while not node.gpus.writing:
            await asyncio.sleep(0)
        await node.kill(1)
        late = node.instances[1]
        await late.survey.refresh()
        assert late.survey.unknown == {ADDRESSES[ONE]}
        claim = asyncio.create_task(late.call("prepare", "d"))
        for _ in range(50):
            await asyncio.sleep(0)
        assert not claim.done()
        gate.set()
        assert list(await asyncio.gather(slow, claim)) == ["", ""]
        assert not late.survey.unknown

    _play(story)


def test_a_half_file_of_a_call_in_work_is_not_swept() -> None:
    """An instance that starts removes what killed ones left half written, and nothing that another is writing."""

    async def story(node: Node) -> None:
        at_work = node.folder / "claims" / ".a.json.tmp"
        left = node.folder / "claims" / ".b.json.tmp"
        for path in (at_work, left):
            path.write_text("half")
        assert node.instances[0].file.try_lock("claim/a")
        await node.kill(1)
        assert at_work.exists()
        assert not left.exists()
        with suppress(FileNotFoundError):
            at_work.unlink()

    _play(story)

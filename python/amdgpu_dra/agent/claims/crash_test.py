"""Claims under crashes: whatever is killed after whichever effect, a retry leads to the same end."""

import asyncio
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.agent.claims import ClaimManager, ClaimRef, Paths, Survey, Switcher, Verifier, World
from amdgpu_dra.api.checkpoint import LostRecord, State
from amdgpu_dra.api.resource import Claim, DeviceResult
from amdgpu_dra.core.claims import split_name
from amdgpu_dra.core.devices import Layout, device_name, list_devices
from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.core.gpu import Inventory, parse
from amdgpu_dra.edge.faketree import read_fleet
from amdgpu_dra.testing.fakes import (
    FakeClaims,
    FakeClock,
    FakeEvents,
    FakeGpus,
    FakeInstances,
    FakeNodes,
    MemoryCdi,
    MemoryRecords,
)

FLEET = read_fleet("mi300x-8-spx")
GPUS = [device_name(gpu.address, None, 0) for gpu in FLEET.gpus][:2]
CPX = [[f"{gpu}-cpx-{index}" for index in range(8)] for gpu in GPUS]
# Claims of two GPUs, of which most need a switch: a and b have one GPU in two modes, c shares a's mode, d wants both
# GPUs, and e is a monitor that takes what there is.
WANTS = {"a": CPX[0][:4], "b": GPUS[:1], "c": CPX[0][4:5], "d": [CPX[0][7], f"{GPUS[1]}-dpx-0"], "e": CPX[1][:1]}


def _show(modes: tuple[str, ...]) -> Inventory:
    gpus = tuple(replace(gpu, compute=mode) for gpu, mode in zip(FLEET.gpus, modes, strict=False))
    return parse(render(replace(FLEET, gpus=gpus)))


ADDRESSES = {device_name(gpu.address, None, 0): gpu.address for gpu in FLEET.gpus}


class Killed(BaseException):
    """The process was killed here: nothing after this point happened, not even a handler."""


class Node:
    """A node whose plugin can be killed before any change of disk or CDI folder."""

    def __init__(self, idle_mode: str = "") -> None:
        self.idle_mode = idle_mode
        self.records = MemoryRecords(self._step)
        self.cdi = MemoryCdi(self._step)
        self.claims = FakeClaims()
        self.gpus = FakeGpus(_show, "SPX", "SPX")
        self.gpus.before = self._step
        self.left: int | None = None
        for uid, devices in WANTS.items():
            results = tuple(
                DeviceResult(request="r", driver="gpu.amd.com", pool="n", device=name, admin_access=uid == "e")
                for name in devices
            )
            self.claims.add(Claim(namespace="ns", name=uid, uid=uid, results=results, reserved=True))
        self.start()

    def _step(self) -> None:
        if self.left is not None:
            if self.left == 0:
                raise Killed
            self.left -= 1

    def start(self) -> None:
        """A new process on what the old one left."""
        self.left = None
        clock, instances = FakeClock(), FakeInstances()
        survey = Survey(self.gpus, instances)
        self.survey = survey
        survey.offer = lambda inventory: list_devices(inventory, Layout(dynamic=True))
        self.switcher = Switcher(survey, self.gpus, clock, FakeEvents(), idle_mode=self.idle_mode)
        paths = Paths(node="n", dev_root="/dev", boot_id="b")
        world = World(
            api=self.claims,
            nodes=FakeNodes(),
            store=self.records,
            cdi=self.cdi,
            clock=clock,
            instances=instances,
        )
        self.manager = ClaimManager(paths, world, survey, self.switcher)
        self.verifier = Verifier(paths, world, survey, self.manager, FakeEvents())
        self.manager.load()

    async def call(self, verb: str, uid: str, kill_after: int | None) -> str:
        """A call of the kubelet; if the plugin is killed in it, it is started anew. The error, or nothing."""
        self.left = kill_after
        ref = ClaimRef(uid, "ns", uid)
        try:
            answers = await (self.manager.prepare([ref]) if verb == "prepare" else self.manager.unprepare([ref]))
        except Killed:
            await self.switcher.close()
            self.start()
            return "killed"
        self.left = None
        return answers[uid].error

    def check(self) -> None:
        """No device belongs to two claims, no GPU is held in two modes, and no document belongs to none."""
        records = [record for record in self.records.kept.values() if record.uid != "e"]
        held = [device.device for record in records for device in record.devices]
        assert len(held) == len(set(held))
        modes = dict(split_name(name) for name in held)
        assert all(modes[gpu] == mode for gpu, mode in map(split_name, held))
        assert set(self.cdi.documents) <= set(self.records.kept)
        for record in records:
            if record.state == State.READY:
                for gpu, mode in (split_name(device.device) for device in record.devices):
                    assert self.gpus.modes[ADDRESSES[gpu]] == mode


STEPS = st.lists(
    st.tuples(st.sampled_from(["prepare", "unprepare"]), st.sampled_from(sorted(WANTS)), st.none() | st.integers(0, 6)),
    max_size=20,
)


@given(STEPS, st.sampled_from(["", "SPX", "QPX"]))
def test_any_order_of_calls_and_kills_is_survived(steps: list[tuple[str, str, int | None]], idle: str) -> None:
    """After every step no device is held twice, every prepared claim has its mode, and no document is nobody's."""

    async def story() -> None:
        node = Node(idle)
        for verb, uid, kill_after in steps:
            await node.call(verb, uid, kill_after)
            node.check()
        for uid in WANTS:
            assert await node.call("unprepare", uid, None) == ""
        assert not node.records.kept
        assert not node.cdi.documents

    asyncio.run(story())


@given(st.sampled_from(sorted(WANTS)), st.integers(0, 6), st.sampled_from(["prepare", "unprepare"]))
def test_a_retry_after_a_kill_ends_as_without_it(uid: str, kill_after: int, verb: str) -> None:
    """The state after kill, restart and retry is the state of a run without a kill."""

    async def run(kill: int | None) -> tuple[Any, Any, Any]:
        node = Node()
        if verb == "unprepare":
            await node.call("prepare", uid, None)
        if kill is not None:
            await node.call(verb, uid, kill)
        assert await node.call(verb, uid, None) == ""
        return node.records.kept, node.cdi.documents, node.gpus.modes

    assert asyncio.run(run(kill_after)) == asyncio.run(run(None))


@given(st.integers(0, 6))
def test_a_kill_leaves_no_mode_behind(kill_after: int) -> None:
    """Killed anywhere in the release of a GPU's last claim, the next process brings the GPU to its idle mode."""

    async def story() -> None:
        node = Node("SPX")
        await node.call("prepare", "a", None)
        await node.call("unprepare", "a", kill_after)
        # As at every start: whether the cluster keeps counters is known later.
        dynamic, node.survey.offer = node.survey.offer, list_devices
        await node.verifier.look()
        node.survey.offer = dynamic
        node.survey.relist()
        await node.switcher.look()
        assert await node.call("unprepare", "a", None) == ""
        while node.switcher._moves:
            await asyncio.sleep(0)
        assert set(node.gpus.modes.values()) == {"SPX"}

    asyncio.run(story())


@given(st.sampled_from(["a", "b"]), st.booleans())
def test_a_gpu_rests_only_when_no_claim_may_have_it(uid: str, documented: bool) -> None:  # noqa: FBT001 (drawn)
    """Held by a claim whose record was lost its mode stays; without a document of it every GPU may be that claim's."""

    async def story() -> None:
        node = Node("DPX")
        await node.call("prepare", uid, None)
        before = dict(node.gpus.modes)
        node.records.kept.clear()
        node.records.lost = (LostRecord(uid=uid, file=f"{uid}.json", why="torn"),)
        if not documented:
            node.cdi.documents.clear()
        node.claims.down = True
        node.start()
        await node.verifier.look()
        assert documented or not node.switcher._moves
        (held,) = {split_name(name)[0] for name in WANTS[uid]}
        for down in (True, False):
            node.claims.down = down
            await node.verifier.look()
            while node.switcher._moves:
                await asyncio.sleep(0)
            assert before[ADDRESSES[held]] == node.gpus.modes[ADDRESSES[held]]
        assert not documented or set(node.gpus.modes.values()) == {"DPX", before[ADDRESSES[held]]}

    asyncio.run(story())


def test_a_claim_is_ready_only_when_its_document_is_there() -> None:
    """The result is saved after the last effect."""

    async def story() -> None:
        node = Node()
        for kill_after in range(5):
            await node.call("prepare", "a", kill_after)
            for record in node.records.kept.values():
                assert record.state != State.READY or record.uid in node.cdi.documents

    asyncio.run(story())

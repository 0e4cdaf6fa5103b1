"""Claims under crashes: whatever is killed after whichever effect, a retry leads to the same end."""

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.agent.claims import ClaimManager, ClaimRef, Paths
from amdgpu_dra.api.checkpoint import State
from amdgpu_dra.api.resource import Claim, DeviceResult
from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.core.gpu import parse
from amdgpu_dra.edge.faketree import read_fleet
from amdgpu_dra.testing.fakes import FakeClaims, FakeNodes, FakeTree, MemoryCdi, MemoryRecords

INVENTORY = parse(render(read_fleet("mi300x-8-spx")))
GPUS = [f"gpu-{str(gpu.address).replace(':', '-').replace('.', '-')}" for gpu in INVENTORY.gpus][:3]
# Four claims of three GPUs: the last wants one that the first has.
WANTS = {"a": GPUS[:1], "b": GPUS[1:2], "c": GPUS[2:3], "d": GPUS[:1]}


class Killed(BaseException):
    """The process was killed here: nothing after this point happened, not even a handler."""


class Node:
    """A node whose plugin can be killed before any change of disk or CDI folder."""

    def __init__(self) -> None:
        self.records = MemoryRecords(self._step)
        self.cdi = MemoryCdi(self._step)
        self.claims = FakeClaims()
        self.left: int | None = None
        for uid, devices in WANTS.items():
            results = tuple(DeviceResult(request="r", driver="gpu.amd.com", pool="n", device=name) for name in devices)
            self.claims.add(Claim(namespace="ns", name=uid, uid=uid, results=results))
        self.start()

    def _step(self) -> None:
        if self.left is not None:
            if self.left == 0:
                raise Killed
            self.left -= 1

    def start(self) -> None:
        """A new process on what the old one left."""
        self.left = None
        self.manager = ClaimManager(
            Paths(node="n", dev_root="/dev", boot_id="b"),
            api=self.claims,
            tree=FakeTree(INVENTORY),
            nodes=FakeNodes(),
            store=self.records,
            cdi=self.cdi,
        )
        self.manager.load()

    async def call(self, verb: str, uid: str, kill_after: int | None) -> str:
        """A call of the kubelet; if the plugin is killed in it, it is started anew. The error, or nothing."""
        self.left = kill_after
        ref = ClaimRef(uid, "ns", uid)
        try:
            answers = await (self.manager.prepare([ref]) if verb == "prepare" else self.manager.unprepare([ref]))
        except Killed:
            self.start()
            return "killed"
        self.left = None
        return answers[uid].error

    def check(self) -> None:
        """No device belongs to two claims, and no document to none."""
        held = [device.device for record in self.records.kept.values() for device in record.devices]
        assert len(held) == len(set(held))
        assert set(self.cdi.documents) <= set(self.records.kept)


STEPS = st.lists(
    st.tuples(st.sampled_from(["prepare", "unprepare"]), st.sampled_from(sorted(WANTS)), st.none() | st.integers(0, 4)),
    max_size=20,
)


@given(STEPS)
def test_any_order_of_calls_and_kills_is_survived(steps: list[tuple[str, str, int | None]]) -> None:
    """After every step no device is held twice and no document is nobody's; a retry of the last call succeeds."""

    async def story() -> None:
        node = Node()
        for verb, uid, kill_after in steps:
            await node.call(verb, uid, kill_after)
            node.check()
        for uid in WANTS:
            assert await node.call("unprepare", uid, None) == ""
        assert not node.records.kept
        assert not node.cdi.documents

    asyncio.run(story())


@given(st.sampled_from(["a", "b", "c"]), st.integers(0, 4), st.sampled_from(["prepare", "unprepare"]))
def test_a_retry_after_a_kill_ends_as_without_it(uid: str, kill_after: int, verb: str) -> None:
    """The state after kill, restart and retry is the state of a run without a kill."""

    async def run(kill: int | None) -> tuple[Any, Any]:
        node = Node()
        if verb == "unprepare":
            await node.call("prepare", uid, None)
        if kill is not None:
            await node.call(verb, uid, kill)
        assert await node.call(verb, uid, None) == ""
        return node.records.kept, node.cdi.documents

    assert asyncio.run(run(kill_after)) == asyncio.run(run(None))


def test_a_claim_is_ready_only_when_its_document_is_there() -> None:
    """The result is saved after the last effect."""

    async def story() -> None:
        node = Node()
        for kill_after in range(4):
            await node.call("prepare", "a", kill_after)
            for record in node.records.kept.values():
                assert record.state != State.READY or record.uid in node.cdi.documents

    asyncio.run(story())

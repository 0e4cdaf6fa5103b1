"""The verifier on a node of fakes: what it mends, and that it asks no more than it needs."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from amdgpu_dra.agent.claims import ClaimManager, ClaimRef, Paths, Survey, Switcher, Verifier, World
from amdgpu_dra.api.checkpoint import Record
from amdgpu_dra.api.errors import HostError
from amdgpu_dra.api.reasons import Reason
from amdgpu_dra.api.resource import Claim, DeviceResult
from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.core.gpu import Inventory, PciAddress, parse
from amdgpu_dra.edge.faketree import read_fleet
from amdgpu_dra.testing.fakes import (
    FakeClaims,
    FakeClock,
    FakeEvents,
    FakeGpus,
    FakeNodes,
    FakeTree,
    MemoryCdi,
    MemoryRecords,
)

FLEET = read_fleet("mi300x-8-spx")
INVENTORY = parse(render(FLEET))
FIRST, SECOND = "gpu-0000-05-00-0", "gpu-0000-26-00-0"


class Killed(BaseException):
    """The process was killed here."""


@dataclass
class Node:
    """A node with two prepared claims, a on the first GPU and b on the second."""

    claims: FakeClaims = field(default_factory=FakeClaims)
    tree: FakeTree = field(default_factory=lambda: FakeTree(INVENTORY))
    nodes: FakeNodes = field(default_factory=FakeNodes)
    left: int | None = None

    def __post_init__(self) -> None:
        self.records, self.cdi = MemoryRecords(self._step), MemoryCdi(self._step)
        self.start()
        for uid, device in (("a", FIRST), ("b", SECOND)):
            result = DeviceResult(request="r", driver="gpu.amd.com", pool="n", device=device)
            self.claims.add(Claim(namespace="ns", name=uid, uid=uid, results=(result,), reserved=True))
        answers = asyncio.run(self.manager.prepare([ClaimRef("a", "ns", "a"), ClaimRef("b", "ns", "b")]))
        assert not any(answer.error for answer in answers.values())

    def _step(self) -> None:
        if self.left is not None:
            if self.left == 0:
                raise Killed
            self.left -= 1

    def start(self) -> None:
        """A new process on what the old one left."""
        self.left = None
        clock, survey, self.events = FakeClock(), Survey(self.tree), FakeEvents()
        self.clock = clock
        paths = Paths(node="n", dev_root="/dev", boot_id="b")
        world = World(api=self.claims, nodes=self.nodes, store=self.records, cdi=self.cdi, clock=clock)
        switcher = Switcher(survey, FakeGpus(lambda _: Inventory()), clock, self.events)
        self.manager = ClaimManager(paths, world, survey, switcher)
        self.verifier = Verifier(paths, world, survey, self.manager, self.events)
        self.manager.load()

    def look(self) -> list[str]:
        """One look; the reasons that were told."""
        before = len(self.events.told)
        asyncio.run(self.verifier.look())
        return [reason for reason, _ in self.events.told[before:]]


def test_nothing_to_mend_is_silent() -> None:
    """All fits: one GET for each claim, no write, no Event."""
    node = Node()
    reads = node.claims.reads
    node.left = 0

    assert node.look() == []
    assert node.claims.reads == reads + 2


def test_a_wiped_folder_is_written_again_without_the_api() -> None:
    """As after a reboot: every document as it was, each told once, and nothing more at the next look."""
    node = Node()
    before, node.claims.down = dict(node.cdi.documents), True
    node.cdi.documents.clear()

    assert node.look() == [Reason.DOCUMENT_REWRITTEN] * 2
    assert before == node.cdi.documents
    assert node.look() == []
    assert node.verifier.count == {Reason.DOCUMENT_REWRITTEN: 2}


def test_a_deleted_claim_leaves_nothing() -> None:
    """Deleted, or replaced by another of its name, while nobody looked; its device is free for the next."""
    node = Node()
    node.claims.claims.pop(("ns", "a"))
    node.claims.add(replace(node.claims.claims["ns", "b"], uid="other"))

    assert node.look() == [Reason.CLAIM_GONE] * 2
    assert not node.records.kept
    assert not node.cdi.documents
    assert asyncio.run(node.manager.prepare([ClaimRef("other", "ns", "b")]))["other"].error == ""


def test_nothing_is_taken_away_while_the_api_is_away() -> None:
    """What cannot be asked is not known: records and documents stay, and the next look finds it."""
    node = Node()
    node.claims.claims.clear()
    node.claims.down = True

    assert node.look() == []
    assert set(node.records.kept) == set(node.cdi.documents) == {"a", "b"}
    node.claims.down = False
    assert node.look() == [Reason.CLAIM_GONE] * 2


def test_a_lost_record_is_made_anew() -> None:
    """With its document and its claim there, the record is as it was, and its device nobody else's."""
    node = Node()
    before = dict(node.records.kept)
    node.records.kept.pop("a")
    node.start()

    assert node.look() == [Reason.RECORD_REBUILT]
    assert before == node.records.kept
    thief = DeviceResult(request="r", driver="gpu.amd.com", pool="n", device=FIRST)
    node.claims.add(Claim(namespace="ns", name="t", uid="t", results=(thief,)))
    assert "prepared for claim ns/a" in asyncio.run(node.manager.prepare([ClaimRef("t", "ns", "t")]))["t"].error


def test_an_exchanged_board_is_quarantined_and_told_once() -> None:
    """Its document is withdrawn, its record stays, and the board's return mends it."""
    node = Node()
    before = dict(node.cdi.documents)
    other = replace(INVENTORY.gpus[0], unique_id="0123456789abcdef")
    node.tree.inventory = replace(INVENTORY, gpus=(other, *INVENTORY.gpus[1:]))

    assert node.look() == [Reason.CLAIM_QUARANTINED]
    assert set(node.cdi.documents) == {"b"}
    assert set(node.records.kept) == {"a", "b"}
    assert node.look() == []
    node.tree.inventory = INVENTORY
    assert node.look() == [Reason.DOCUMENT_REWRITTEN]
    assert before == node.cdi.documents


def test_one_claim_that_cannot_be_mended_harms_no_other() -> None:
    """A device node that is missing keeps one document from being written; the other is."""
    node = Node()
    node.cdi.documents.clear()
    node.nodes.missing.add("dri/renderD128")

    assert node.look() == [Reason.DOCUMENT_REWRITTEN]
    assert set(node.cdi.documents) == {"b"}


def test_a_defect_in_one_claims_look_ends_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is in the log with its traceback, and the next claim is mended all the same."""
    node = Node()
    node.cdi.documents.clear()
    read = node.cdi.read

    def broken(uid: str) -> bytes | None:
        if uid == "a":
            raise RecursionError
        return read(uid)

    monkeypatch.setattr(node.cdi, "read", broken)

    assert node.look() == [Reason.DOCUMENT_REWRITTEN]
    assert set(node.cdi.documents) == {"b"}
    assert "claim UID a is not verified" in caplog.text


def test_a_new_boot_is_told_and_looks_go_on(caplog: pytest.LogCaptureFixture) -> None:
    """Records of another boot are named in the log; the next look comes after ten minutes, not before."""
    node = Node()
    node.records.kept["a"] = replace(node.records.kept["a"], boot_id="before")
    node.start()

    async def story() -> None:
        task = asyncio.create_task(node.verifier.run())
        while len(node.clock.waits) < 2:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(story())
    assert "the node has started anew since claims were prepared (boot before)" in caplog.text
    assert node.clock.waits == [600.0, 600.0]


def test_a_tree_that_cannot_be_read_takes_nothing_away(caplog: pytest.LogCaptureFixture) -> None:
    """No listing, no verdict: everything stays as it is."""
    node = Node()

    async def fail(*, without_modes: frozenset[PciAddress] = frozenset()) -> Inventory:
        raise HostError("sysfs", expected="a tree", found=f"none {without_modes}", action="mount it")

    node.tree.read_inventory = fail  # type: ignore[method-assign]
    node.claims.claims.clear()

    assert node.look() == []
    assert set(node.cdi.documents) == {"a", "b"}
    assert "claims are not verified" in caplog.text


def test_a_crash_within_a_repair_converges() -> None:
    """Killed before any of its writes and started again, a look ends as it does without the kill."""

    def story(kill_after: int | None) -> tuple[dict[str, Record], set[str]]:
        node = Node()
        node.records.kept.pop("a")
        node.cdi.documents["x"] = {"devices": [{"containerEdits": {"env": ["E=pci=y claim=ns/x"]}}]}
        node.claims.claims.pop(("ns", "b"))
        node.start()
        if kill_after is not None:
            node.left = kill_after
            try:
                node.look()
            except Killed:
                node.start()
        node.left = None
        node.look()
        return node.records.kept, set(node.cdi.documents)

    ends = [story(kill_after) for kill_after in range(8)]
    assert ends == [story(None)] * 8
    assert set(ends[0][0]) == ends[0][1] == {"a"}


def test_a_device_of_a_lost_record_is_nobodys_until_it_is_known() -> None:
    """Before the first look another claim is refused for now; once the lost claim is gone it may have the device."""
    node = Node()
    node.records.kept.pop("a")
    node.start()
    thief = DeviceResult(request="r", driver="gpu.amd.com", pool="n", device=f"{FIRST}")
    node.claims.add(Claim(namespace="ns", name="t", uid="t", results=(thief,)))
    ref = ClaimRef("t", "ns", "t")
    assert "claim UID a, whose record was lost" in asyncio.run(node.manager.prepare([ref]))["t"].error

    del node.claims.claims["ns", "a"]
    assert node.look() == [Reason.DOCUMENT_REMOVED]
    assert asyncio.run(node.manager.prepare([ref]))["t"].error == ""

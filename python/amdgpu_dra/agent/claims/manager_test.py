"""Prepare and Unprepare: what they do when the API, a device node or the other claims are not as they should be."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from amdgpu_dra.agent.claims import ClaimManager, ClaimRef, Paths, Survey, Switcher, World
from amdgpu_dra.api.checkpoint import Record
from amdgpu_dra.api.errors import HostError
from amdgpu_dra.api.resource import Claim, DeviceResult
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
    FakeTree,
    MemoryCdi,
    MemoryRecords,
)

INVENTORY = parse(render(read_fleet("mi300x-8-spx")))
FIRST, SECOND = "gpu-0000-05-00-0", "gpu-0000-26-00-0"


@dataclass
class Node:
    """A node with fakes all around."""

    claims: FakeClaims = field(default_factory=FakeClaims)
    tree: FakeTree = field(default_factory=lambda: FakeTree(INVENTORY))
    nodes: FakeNodes = field(default_factory=FakeNodes)
    records: MemoryRecords = field(default_factory=MemoryRecords)
    cdi: MemoryCdi = field(default_factory=MemoryCdi)

    def __post_init__(self) -> None:
        clock, survey = FakeClock(), Survey(self.tree, FakeInstances())
        self.manager = ClaimManager(
            Paths(node="n", dev_root="/dev", boot_id="b"),
            World(
                api=self.claims,
                nodes=self.nodes,
                store=self.records,
                cdi=self.cdi,
                clock=clock,
                instances=FakeInstances(),
            ),
            survey,
            Switcher(survey, FakeGpus(lambda _: Inventory()), clock, FakeEvents()),
        )

    def claim(self, uid: str, device: str) -> ClaimRef:
        """An allocated claim on the API server."""
        result = DeviceResult(request="r", driver="gpu.amd.com", pool="n", device=device)
        self.claims.add(Claim(namespace="ns", name=uid, uid=uid, results=(result,)))
        return ClaimRef(uid, "ns", uid)

    def prepare(self, *refs: ClaimRef) -> dict[str, str]:
        """Errors by UID."""
        return {uid: answer.error for uid, answer in asyncio.run(self.manager.prepare(refs)).items()}

    def unprepare(self, *refs: ClaimRef) -> dict[str, str]:
        """Errors by UID."""
        return {uid: answer.error for uid, answer in asyncio.run(self.manager.unprepare(refs)).items()}


def test_repeated_prepare_gives_the_same_answer_without_the_api() -> None:
    """A prepared claim is answered from what is held, whatever the API server does."""
    node = Node()
    ref = node.claim("a", FIRST)
    first = asyncio.run(node.manager.prepare([ref]))
    node.claims.down = True

    assert first == asyncio.run(node.manager.prepare([ref]))
    assert node.claims.reads == 1


def test_a_lost_document_is_written_again() -> None:
    """As after a reboot, when the CDI folder is empty."""
    node = Node()
    ref = node.claim("a", FIRST)
    node.prepare(ref)
    before = dict(node.cdi.documents)
    node.cdi.documents.clear()

    assert node.prepare(ref) == {"a": ""}
    assert before == node.cdi.documents


def test_one_bad_claim_fails_alone() -> None:
    """A claim that does not exist takes no other of its batch with it; every claim has an answer."""
    node = Node()
    errors = node.prepare(node.claim("a", FIRST), ClaimRef("x", "ns", "x"), node.claim("b", SECOND))

    assert (errors["a"], errors["b"]) == ("", "")
    assert "claim ns/x" in errors["x"]


def test_two_claims_of_one_device_at_once_give_it_to_one() -> None:
    """The last line of defence holds for calls that run side by side, and the loser names the winner."""
    node = Node()
    errors = node.prepare(node.claim("a", FIRST), node.claim("b", FIRST))

    loser, winner = ("b", "a") if errors["a"] == "" else ("a", "b")
    assert errors[winner] == ""
    assert f"prepared for claim ns/{winner}" in errors[loser]


def test_many_calls_for_one_claim_are_one() -> None:
    """The claim is fetched once, however many calls there are."""
    node = Node()
    ref = node.claim("a", FIRST)

    async def together() -> None:
        answers = await asyncio.gather(*(node.manager.prepare([ref]) for _ in range(8)))
        assert all(answer == answers[0] for answer in answers)

    asyncio.run(together())
    assert node.claims.reads == 1


def test_calls_for_one_claim_never_run_at_once() -> None:
    """Prepares and Unprepares of one claim, begun as others end: each fetches the claim alone."""
    node = Node()
    ref = node.claim("a", FIRST)
    fetching = 0
    get_claim = node.claims.get_claim

    async def watched(namespace: str, name: str) -> Claim:
        nonlocal fetching
        fetching += 1
        assert fetching == 1, "two calls for one claim at once"
        try:
            for _ in range(5):
                await asyncio.sleep(0)
            return await get_claim(namespace, name)
        finally:
            fetching -= 1

    node.claims.get_claim = watched  # type: ignore[method-assign]

    async def story() -> None:
        node.claims.down = True
        calls = []
        for _ in range(20):
            calls.append(asyncio.create_task(node.manager.prepare([ref])))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        answers = await asyncio.gather(*calls)
        assert all("API server" in answer["a"].error for answer in answers)

    asyncio.run(story())


def test_a_missing_device_node_fails_the_claim_and_is_healed() -> None:
    """The error names the node; when it is there the retry succeeds."""
    node = Node()
    ref = node.claim("a", FIRST)
    node.nodes.missing.add("dri/renderD128")

    assert "device node dri/renderD128" in node.prepare(ref)["a"]
    assert not node.cdi.documents
    node.nodes.missing.clear()
    assert node.prepare(ref) == {"a": ""}


def test_unprepare_needs_no_api_and_knows_no_strangers() -> None:
    """Unknown claims are a success, prepared ones go without the API server, and twice is as once."""
    node = Node()
    ref = node.claim("a", FIRST)
    node.prepare(ref)
    node.claims.down = True

    assert node.unprepare(ref, ClaimRef("x", "ns", "x")) == {"a": "", "x": ""}
    assert node.unprepare(ref) == {"a": ""}
    assert not node.records.kept


def test_a_full_disk_keeps_no_claim_from_being_unprepared(monkeypatch: pytest.MonkeyPatch) -> None:
    """The intent cannot be saved, and removing needs no room: document, record and hold go all the same."""
    node = Node()
    ref = node.claim("a", FIRST)
    node.prepare(ref)

    def full(_: Record) -> None:
        raise HostError("records", expected="to write a record", found="No space left on device", action="free space")

    monkeypatch.setattr(node.records, "save", full)

    assert node.unprepare(ref) == {"a": ""}
    assert node.records.load().records == ()
    assert node.cdi.documents == {}
    monkeypatch.undo()
    assert node.prepare(node.claim("b", FIRST)) == {"b": ""}


def test_a_record_that_cannot_be_removed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes nothing at all: the kubelet is told so, the device stays held, and a retry finishes."""
    node = Node()
    ref = node.claim("a", FIRST)
    node.prepare(ref)

    def broken(_: object) -> None:
        raise HostError("records", expected="to write", found="Read-only file system", action="make it writable")

    monkeypatch.setattr(node.records, "save", broken)
    monkeypatch.setattr(node.records, "drop", broken)

    assert "Read-only" in node.unprepare(ref)["a"]
    monkeypatch.undo()
    assert "prepared for claim ns/a" in node.prepare(node.claim("b", FIRST))["b"]
    assert node.unprepare(ref) == {"a": ""}
    assert node.records.load().records == ()


def test_the_api_away_is_an_error_that_a_retry_heals() -> None:
    """A claim that was never fetched waits for the API server."""
    node = Node()
    ref = node.claim("a", FIRST)
    node.claims.down = True

    assert "API server" in node.prepare(ref)["a"]
    node.claims.down = False
    assert node.prepare(ref) == {"a": ""}


def test_a_device_that_appeared_is_found() -> None:
    """The tree is read again for a device that was not there at the last look."""
    node = Node()
    node.tree.inventory = Inventory()
    assert "no device at all" in node.prepare(node.claim("a", FIRST))["a"]

    node.tree.inventory = INVENTORY
    assert node.prepare(node.claim("a", FIRST)) == {"a": ""}


def test_a_failed_prepare_holds_nothing() -> None:
    """A claim that failed before anything was written leaves its device to others."""
    node = Node()
    ref = node.claim("a", FIRST)
    gone = replace(INVENTORY, gpus=INVENTORY.gpus[1:])
    node.tree.inventory = gone
    node.prepare(ref)

    node.tree.inventory = INVENTORY
    assert node.prepare(node.claim("b", FIRST)) == {"b": ""}


def test_a_uid_that_is_a_path_is_refused() -> None:
    """It would be part of a file's name."""
    node = Node()

    assert "expected a UID" in node.prepare(ClaimRef("../../etc/x", "ns", "a"))["../../etc/x"]


def test_a_defect_fails_its_claim_alone(caplog: pytest.LogCaptureFixture) -> None:
    """An error that nobody foresaw is that claim's answer, with a trace in the log; the others are served."""
    node = Node()
    write = node.cdi.write

    def broken(uid: str, document: Mapping[str, Any]) -> bool:
        if uid == "a":
            raise ZeroDivisionError
        return write(uid, document)

    node.cdi.write = broken  # type: ignore[method-assign]
    errors = node.prepare(node.claim("a", FIRST), node.claim("b", SECOND))

    assert "internal error ZeroDivisionError()" in errors["a"]
    assert errors["b"] == ""
    assert "ZeroDivisionError" in caplog.text

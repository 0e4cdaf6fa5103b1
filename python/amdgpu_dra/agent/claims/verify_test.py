"""The verifier on a node of fakes: what it mends, and that it asks no more than it needs."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest

from amdgpu_dra.agent.claims import ClaimManager, ClaimRef, Paths, Survey, Switcher, Verifier, World
from amdgpu_dra.api.checkpoint import LostRecord, Record, State
from amdgpu_dra.api.errors import HostError
from amdgpu_dra.api.reasons import Reason
from amdgpu_dra.api.resource import Claim, DeviceResult, ObjectRef
from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.core.gpu import Inventory, PciAddress, parse
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
            pod = ObjectRef(kind="Pod", namespace="ns", name=f"pod-{uid}", uid=uid)
            self.claims.add(Claim(namespace="ns", name=uid, uid=uid, results=(result,), reserved=True, pods=(pod,)))
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
        clock, survey, self.events = FakeClock(), Survey(self.tree, FakeInstances()), FakeEvents()
        self.clock = clock
        paths = Paths(node="n", dev_root="/dev", boot_id="b")
        world = World(
            api=self.claims, nodes=self.nodes, store=self.records, cdi=self.cdi, clock=clock, instances=FakeInstances()
        )
        switcher = Switcher(survey, FakeGpus(lambda _: Inventory()), clock, self.events)
        self.manager = ClaimManager(paths, world, survey, switcher)
        self.verifier = Verifier(paths, world, survey, self.manager, self.events)
        self.found: list[Reason] = []
        self.verifier.on_finding = self.found.append
        self.withdrawn: Mapping[str, str] = {}
        self.verifier.on_withdrawn = self._withdraw
        self.manager.load()

    def _withdraw(self, devices: Mapping[str, str]) -> None:
        self.withdrawn = devices

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
    assert node.found == [Reason.DOCUMENT_REWRITTEN] * 2


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
    assert (set(node.withdrawn), node.verifier.quarantined) == ({FIRST}, 1)
    assert node.withdrawn[FIRST].startswith("claim ns/a: ClaimQuarantined: expected the GPU with unique id")
    assert node.events.pods == [(Reason.CLAIM_QUARANTINED, "pod-a")]
    assert node.look() == []
    node.tree.inventory = INVENTORY
    assert node.look() == [Reason.DOCUMENT_REWRITTEN]
    assert before == node.cdi.documents
    assert (node.withdrawn, node.verifier.quarantined) == ({}, 0)
    assert len(node.events.pods) == 1


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
        node.cdi.documents["x"] = {"devices": [{"containerEdits": {"env": ["AMD_GPU_X=pci=y claim=ns/x"]}}]}
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


def test_a_change_of_the_node_asks_the_api_server_for_nothing() -> None:
    """A GPU goes: its claim is quarantined and its pods are told at once, without a GET for each claim of the node."""
    node = Node()
    reads = node.claims.reads
    node.tree.inventory = replace(INVENTORY, gpus=INVENTORY.gpus[1:])

    asyncio.run(node.verifier.look(ask=False))
    assert [reason for reason, _ in node.events.told] == [Reason.CLAIM_QUARANTINED]
    assert [text.count("claim ns/a") for _, text in node.events.told] == [1]
    assert node.events.pods == [(Reason.CLAIM_QUARANTINED, "pod-a")]
    assert node.claims.reads == reads
    assert set(node.withdrawn) == {FIRST}


def test_pods_of_a_claim_from_before_the_start_are_asked_for() -> None:
    """A new process has read no claim yet: one GET, for the claim that is quarantined."""
    node = Node()
    node.tree.inventory = replace(INVENTORY, gpus=INVENTORY.gpus[1:])
    node.start()
    reads = node.claims.reads

    asyncio.run(node.verifier.look(ask=False))
    assert node.events.pods == [(Reason.CLAIM_QUARANTINED, "pod-a")]
    assert node.claims.reads == reads + 1


def test_admin_access_withdraws_no_device() -> None:
    """A monitor's claim that is quarantined says nothing of a device that is another claim's as well."""
    node = Node()
    held = node.records.kept["a"]
    node.records.kept["a"] = replace(held, devices=tuple(replace(item, admin_access=True) for item in held.devices))
    node.start()
    node.tree.inventory = replace(INVENTORY, gpus=INVENTORY.gpus[1:])

    assert node.look() == [Reason.CLAIM_QUARANTINED]
    assert node.withdrawn == {}


def _corrupt(node: Node, uid: str) -> None:
    node.records.kept.pop(uid, None)
    lost = LostRecord(uid=uid, file=f"{uid}.json", why="the checksum does not fit")
    node.records.lost = (*node.records.lost, lost)


def _prepare(node: Node, uid: str) -> str:
    return asyncio.run(node.manager.prepare([ClaimRef(uid, "ns", uid)]))[uid].error


def _thief(node: Node, device: str) -> None:
    result = DeviceResult(request="r", driver="gpu.amd.com", pool="n", device=device)
    node.claims.add(Claim(namespace="ns", name="thief", uid="thief", results=(result,)))


def _run(node: Node, looks: int) -> None:
    """Lets the verifier run until it has waited so many times."""

    async def story() -> None:
        task = asyncio.create_task(node.verifier.run())
        while len(node.clock.waits) < looks:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(story())


def test_a_lost_record_holds_its_devices_before_any_look() -> None:
    """Its document says what it has: no other claim gets it, and it is unprepared without the API server."""
    node = Node()
    _corrupt(node, "a")
    node.start()
    _thief(node, FIRST)

    assert "prepared for claim ns/a" in _prepare(node, "thief")
    node.claims.down = True
    assert asyncio.run(node.manager.unprepare([ClaimRef("a", "ns", "a")]))["a"].error == ""
    assert set(node.cdi.documents) == set(node.records.kept) == {"b"}
    node.claims.down = False
    assert _prepare(node, "thief") == ""


def test_a_record_and_its_document_are_found_by_one_list(caplog: pytest.LogCaptureFixture) -> None:
    """Both lost, they are made as before, and told on node and claim; nobody lists when nothing is missing."""
    node = Node()
    records, documents = dict(node.records.kept), dict(node.cdi.documents)
    node.start()
    _run(node, 1)
    assert node.claims.lists == 0
    node.cdi.documents.pop("a")
    _corrupt(node, "a")
    node.start()
    _run(node, 2)

    assert (node.records.kept, node.cdi.documents, node.claims.lists) == (records, documents, 1)
    assert [reason for reason, _ in node.events.told] == [Reason.RECORD_LOST, Reason.RECORD_REBUILT]
    assert "record 'a.json' of claim UID a is lost: the checksum does not fit" in caplog.text


def test_nothing_is_handed_out_until_lost_claims_are_looked_for() -> None:
    """A claim of which nothing is left may have any device: others are told to try again, and it is served."""
    node = Node()
    node.cdi.documents.pop("a")
    _corrupt(node, "a")
    node.start()
    _thief(node, FIRST)
    node.claims.down = True

    assert node.look() == []
    node.claims.down = False
    assert "whose records were lost" in _prepare(node, "thief")
    assert _prepare(node, "b") == ""
    assert node.look() == [Reason.RECORD_REBUILT]
    assert "prepared for claim ns/a" in _prepare(node, "thief")


def test_a_lost_claim_without_its_gpu_holds_its_device_and_leaves_nothing() -> None:
    """Record and document are lost while its GPU is away: nobody else gets the device; in the end nothing is left."""
    node = Node()
    node.cdi.documents.pop("a")
    _corrupt(node, "a")
    node.tree.inventory = replace(INVENTORY, gpus=INVENTORY.gpus[1:])
    node.start()

    assert node.look() == [Reason.CLAIM_QUARANTINED]
    node.tree.inventory = INVENTORY
    _thief(node, FIRST)
    assert "prepared for claim ns/a" in _prepare(node, "thief")
    assert asyncio.run(node.manager.unprepare([ClaimRef("a", "ns", "a")]))["a"].error == ""
    assert not node.records.lost
    assert _prepare(node, "thief") == ""


def test_a_lost_claim_whose_device_another_has_leaves_nothing() -> None:
    """It gets no hold, others are served, and its Unprepare takes its record away."""
    node = Node()
    node.cdi.documents.pop("a")
    node.claims.forbidden = True
    _corrupt(node, "a")
    node.start()
    node.look()
    _thief(node, FIRST)
    assert _prepare(node, "thief") == ""
    node.claims.forbidden = False

    assert node.look() == [Reason.CLAIM_QUARANTINED]
    assert asyncio.run(node.manager.unprepare([ClaimRef("a", "ns", "a")]))["a"].error == ""
    assert not node.records.lost
    assert not node.manager.missing


def test_a_lost_claim_is_made_anew_when_its_gpu_is_back() -> None:
    """By the next look, as it was."""
    node = Node()
    records, documents = dict(node.records.kept), dict(node.cdi.documents)
    node.cdi.documents.pop("a")
    _corrupt(node, "a")
    node.tree.inventory = replace(INVENTORY, gpus=INVENTORY.gpus[1:])
    node.start()
    node.look()
    node.tree.inventory = INVENTORY

    assert node.look() == [Reason.RECORD_REBUILT]
    assert (node.records.kept, node.cdi.documents) == (records, documents)


def test_a_claim_that_is_missing_may_come_by_itself() -> None:
    """The kubelet's Prepare makes all anew, and its Unprepare ends the search for it, whatever the API server says."""
    node = Node()
    for uid in ("a", "b"):
        node.cdi.documents.pop(uid)
        _corrupt(node, uid)
    node.start()

    assert _prepare(node, "a") == ""
    assert asyncio.run(node.manager.unprepare([ClaimRef("b", "ns", "b")]))["b"].error == ""
    node.look()
    assert set(node.records.kept) == set(node.cdi.documents) == {"a"}
    assert not node.manager.missing


def test_without_the_right_to_list_claims_wait_for_the_kubelet() -> None:
    """The Event says so; others are served, and the right that comes later is used."""
    node = Node()
    before = dict(node.records.kept)
    node.cdi.documents.pop("a")
    _corrupt(node, "a")
    node.start()
    node.claims.forbidden = True

    assert node.look() == [Reason.CLAIMS_NOT_LISTED]
    _thief(node, "gpu-0000-46-00-0")
    assert _prepare(node, "thief") == ""
    node.claims.forbidden = False
    assert node.look() == [Reason.RECORD_REBUILT]
    assert before.items() <= node.records.kept.items()


def test_all_records_are_made_anew_from_documents_and_claims() -> None:
    """The records are gone, and a document with them: every claim that pods of this node have is as before."""
    node = Node()
    records, documents = dict(node.records.kept), dict(node.cdi.documents)
    node.records.kept.clear()
    node.cdi.documents.pop("b")
    elsewhere = DeviceResult(request="r", driver="gpu.amd.com", pool="another", device=FIRST)
    node.claims.add(Claim(namespace="ns", name="e", uid="e", results=(elsewhere,), reserved=True))
    waits = DeviceResult(request="r", driver="gpu.amd.com", pool="n", device="gpu-0000-46-00-0")
    node.claims.add(Claim(namespace="ns", name="w", uid="w", results=(waits,)))
    node.start()

    assert node.look() == [Reason.RECORD_REBUILT] * 2
    assert (node.records.kept, node.cdi.documents) == (records, documents)
    assert node.look() == []
    assert node.claims.lists == 1


def test_a_look_that_could_not_ask_comes_again_soon() -> None:
    """A claim whose record was lost does not wait ten minutes for an API server that was away."""
    node = Node()
    _corrupt(node, "a")
    node.start()
    node.claims.down = True
    _run(node, 2)
    node.claims.down = False
    _run(node, 4)

    assert node.clock.waits[:2] == [5.0, 5.0]
    assert node.clock.waits[-1] == 600.0
    assert set(node.records.kept) == {"a", "b"}


def test_records_that_cannot_be_read_are_no_empty_ones() -> None:
    """Every call is answered with an error to try again, nothing is removed, and all is served once it can be read."""
    node = Node()
    records, documents = dict(node.records.kept), dict(node.cdi.documents)
    node.records.broken = True
    node.start()
    _thief(node, "gpu-0000-46-00-0")

    assert "Input/output error" in node.manager.not_ready
    assert "Input/output error" in _prepare(node, "a")
    assert "Input/output error" in _prepare(node, "thief")
    assert "Input/output error" in asyncio.run(node.manager.unprepare([ClaimRef("a", "ns", "a")]))["a"].error
    assert node.look() == []
    _run(node, 3)
    assert {reason for reason, _ in node.events.told} == {Reason.RECORDS_UNREADABLE}
    assert (node.records.kept, node.cdi.documents) == (records, documents)

    node.records.broken = False
    _run(node, 5)
    assert node.manager.not_ready == ""
    assert _prepare(node, "thief") == ""
    assert asyncio.run(node.manager.unprepare([ClaimRef("a", "ns", "a")]))["a"].error == ""


def test_a_newer_claim_is_refused_and_keeps_its_devices() -> None:
    """The error says which version wrote it and what to do; it is told once, and nothing of it is changed."""
    node = Node()
    newer = replace(node.records.kept["a"], state=State.NEWER, writer="9.1.0 (version 2)")
    node.records.kept["a"] = newer
    documents = dict(node.cdi.documents)
    node.start()
    _thief(node, FIRST)
    node.claims.claims.pop(("ns", "a"))

    assert "found one of driver version 9.1.0 (version 2); upgrade the driver" in _prepare(node, "a")
    assert "9.1.0" in asyncio.run(node.manager.unprepare([ClaimRef("a", "ns", "a")]))["a"].error
    assert "prepared for claim ns/a" in _prepare(node, "thief")
    assert _prepare(node, "b") == ""
    assert node.look() == [Reason.RECORD_NEWER]
    assert node.look() == []
    assert node.records.kept["a"] == newer
    assert node.cdi.documents == documents


def test_what_a_newer_driver_added_outlives_a_prepare() -> None:
    """A Prepare that it began is ended here with its fields, as long as the devices are the same."""
    node = Node()
    ready = node.records.kept["a"]
    device = replace(ready.devices[0], later='{"slot":3}')
    node.records.kept["a"] = replace(ready, state=State.PREPARING, later='{"x":1}', devices=(device,))
    node.start()

    assert _prepare(node, "a") == ""
    assert node.records.kept["a"] == replace(ready, later='{"x":1}', devices=(device,))


def test_a_lost_claim_that_is_gone_is_given_up() -> None:
    """Its file is let go once the API server has said so; nothing is searched for again at the next start."""
    node = Node()
    node.cdi.documents.pop("a")
    _corrupt(node, "a")
    node.claims.claims.pop(("ns", "a"))
    node.start()

    assert node.look() == [Reason.CLAIM_GONE]
    assert node.records.lost == ()
    node.start()
    assert node.look() == []
    assert node.claims.lists == 1


def test_a_crash_within_a_search_forgets_nothing() -> None:
    """Killed before any of its writes and started again, a lost claim is made anew all the same."""
    before = Node()
    for kill_after in range(4):
        node = Node()
        node.cdi.documents.pop("a")
        _corrupt(node, "a")
        node.start()
        node.left = kill_after
        try:
            node.look()
        except Killed:
            node.start()
        node.left = None
        node.look()

        assert node.records.kept == before.records.kept
        assert node.cdi.documents == before.cdi.documents


def test_a_lost_claim_that_cannot_be_written_down_keeps_others_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its devices would be nobody's otherwise; as soon as the disk takes it, others are served."""
    node = Node()
    node.cdi.documents.pop("a")
    _corrupt(node, "a")
    node.start()
    _thief(node, "gpu-0000-46-00-0")

    def full() -> None:
        raise HostError("records", expected="to write", found="No space left on device", action="free space")

    monkeypatch.setattr(node.records, "before", full)
    _run(node, 2)
    assert node.clock.waits == [5.0, 5.0]
    assert "whose records were lost" in _prepare(node, "thief")
    monkeypatch.undo()
    _run(node, 3)
    assert set(node.records.kept) == {"a", "b"}
    assert _prepare(node, "thief") == ""


def test_a_tree_that_cannot_be_read_puts_a_search_off_by_seconds() -> None:
    """As before amdgpu is loaded: others wait for the search, so it is tried again soon."""
    node = Node()
    node.cdi.documents.pop("a")
    _corrupt(node, "a")
    node.start()
    read = node.tree.read_inventory

    async def fail(*, without_modes: frozenset[PciAddress] = frozenset()) -> Inventory:
        raise HostError("sysfs", expected="a tree", found=f"none {without_modes}", action="mount it")

    node.tree.read_inventory = fail  # type: ignore[method-assign]
    _run(node, 1)
    node.tree.read_inventory = read  # type: ignore[method-assign]
    _run(node, 2)

    assert node.clock.waits[0] == 5.0
    assert set(node.records.kept) == {"a", "b"}

"""The node as a state machine; see `machine` for what may happen, `node` and `calm` for what must hold."""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import settings

from amdgpu_dra.agent.claims import ClaimManager
from amdgpu_dra.core.claims import Effect, Holdings
from amdgpu_dra.edge.disk import CdiDirectory, RecordFiles
from amdgpu_dra.testing.model.machine import FIRST, SECOND, TOTAL, NodeMachine

TestNode = NodeMachine.TestCase
TestNode.settings = settings(max_examples=220, stateful_step_count=40, deadline=None)


@contextmanager
def _story(*wants: tuple[str, ...], idle_mode: str = "") -> Iterator[NodeMachine]:
    """A node with pods that run; calm is looked for at the end."""
    machine = NodeMachine()
    machine.boot(idle_mode, list(wants), per_gpu=True)
    machine.node.settle(1)
    try:
        yield machine
        machine.node.check()
        machine.teardown()
    finally:
        if not machine.node.loop.is_closed():
            machine.node.close()


def _expect(words: str, befall: Callable[[NodeMachine], None]) -> None:
    """A node with a pod on the first GPU, to which something happens, breaks a rule."""

    def tell() -> None:
        with _story((FIRST,)) as machine:
            befall(machine)

    with pytest.raises(AssertionError, match=words):
        tell()


def test_a_plain_story_holds_and_is_counted() -> None:
    """Two pods come and go; every step is counted."""
    steps = TOTAL["steps"]
    with _story((FIRST,), (f"{SECOND}-cpx-7",), idle_mode="SPX") as machine:
        assert [story.in_use for story in machine.node.stories.values()] == [True, True]
        machine.unprepare([1])
        machine.settle(5.0)

    assert TOTAL["steps"] == steps + 4


def test_a_guard_that_is_off_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two claims of one GPU in two modes."""
    monkeypatch.setattr(Holdings, "find_conflict", lambda _self, _record: None)

    def befall(machine: NodeMachine) -> None:
        machine.launch("b", (f"{FIRST}-cpx-1",), "", now=True)
        machine.settle(5.0)

    _expect(r"is switched to CPX under|and \('gpu", befall)


def test_a_lost_record_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that forgets at once what it was told."""
    monkeypatch.setattr(RecordFiles, "save", lambda _self, _record: None)
    _expect("has no record", lambda _machine: None)


def test_a_document_of_another_boot_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that never writes a document anew."""
    write = CdiDirectory.write

    def keep(folder: CdiDirectory, uid: str, document: dict[str, object]) -> bool:
        return folder.read(uid) is None and write(folder, uid, document)

    monkeypatch.setattr(CdiDirectory, "write", keep)

    def befall(machine: NodeMachine) -> None:
        machine.driver(511, "reload", turned=True)
        machine.node.settle(61)
        machine.prepare([0])
        machine.node.settle(1)

    _expect(FIRST, befall)


def test_another_board_under_an_old_name_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan that does not ask for the unique id."""
    from amdgpu_dra.core.claims import plan  # noqa: PLC0415

    monkeypatch.setattr(plan, "_identify", lambda held, listing, where: plan._get(listing, held.device, where))

    def befall(machine: NodeMachine) -> None:
        machine.hot_plug("0000:05:00.0", board=True, back=False)
        machine.hot_plug("0000:05:00.0", board=False, back=True)
        machine.node.settle(61)
        machine.prepare([0])
        machine.node.settle(1)

    _expect("another GPU", befall)


def test_a_file_that_is_left_over_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """An Unprepare that forgets the document."""
    do = ClaimManager._do

    def skip(manager: ClaimManager, effect: Effect, *rest: object) -> None:
        if effect is not Effect.DROP_CDI:
            do(manager, effect, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(ClaimManager, "_do", skip)
    _expect(r"gpu_a-0\.json", lambda _machine: None)


def test_a_full_disk_refuses_and_a_retry_heals() -> None:
    """No record, no document and no hold is left of a Prepare that could not be kept."""
    with _story() as machine:
        machine.disk(errno.ENOSPC, late=False, reads=False)
        machine.launch("a", (FIRST,), "", now=True)
        machine.settle(1.0)
        assert machine.node.counts["refusals"] == 1
        assert not list(machine.node.disk.records.iterdir())
        machine.disk(None, late=False, reads=False)
        machine.prepare([0])
        machine.settle(1.0)
        assert machine.node.stories["a-0"].in_use


def test_a_reload_that_comes_to_the_same_count_is_noticed_by_the_next_prepare() -> None:
    """Amdgpu loaded anew swaps the minors of two GPUs: no claim gets the other GPU's, though KFD counts as before."""
    with _story() as machine:
        machine.driver(235, "reload", turned=True)
        machine.launch("a", (FIRST,), "", now=True)
        machine.settle(1.0)
        assert machine.node.stories["a-0"].in_use


def test_a_claim_whose_record_was_lost_keeps_its_device_until_it_is_known() -> None:
    """A record is cut while the API server is away: another claim on the device is refused, and may come later."""
    with _story((FIRST,)) as machine:
        machine.api(down=True)
        machine.corrupt(0, 20)
        machine.settle(1.0)
        machine.api(down=False)
        machine.launch("b", (FIRST,), "", now=True)
        machine.settle(1.0)
        assert machine.node.counts["refusals"] == 1
        assert machine.node.stories["a-0"].in_use
        machine.settle(601.0)
        assert machine.node.find_record("a-0") is not None

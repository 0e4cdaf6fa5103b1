"""The node as a state machine; see `machine` for what may happen, `truth` and `calm` for what must hold."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import settings

from amdgpu_dra.agent.claims import Verifier
from amdgpu_dra.testing.model.calm import Ending
from amdgpu_dra.testing.model.disk import Sickness
from amdgpu_dra.testing.model.machine import NodeMachine
from amdgpu_dra.testing.model.scene import FIRST, SECOND, TOTAL, Setting

TestNode = NodeMachine.TestCase
TestNode.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


@contextmanager
def _story(*wants: tuple[str, ...], idle_mode: str = "", ending: Ending | None = None) -> Iterator[NodeMachine]:
    """A node with pods that run; calm is looked for at the end."""
    machine = NodeMachine()
    pool = wants or ((FIRST,),)
    machine.boot(Setting(idle_mode=idle_mode, pool=pool, pods=len(wants), pace=0, ending=ending or Ending()))
    machine.node.settle(1)
    try:
        yield machine
        machine.node.check()
        machine.teardown()
    finally:
        if not machine.node.loop.is_closed():
            machine.node.close()


def test_a_plain_story_holds_and_is_counted() -> None:
    """Two pods come and go; every step is counted."""
    steps = TOTAL["steps"]
    with _story((FIRST,), (f"{SECOND}-cpx-7",), idle_mode="SPX") as machine:
        assert [story.in_use for story in machine.node.stories.values()] == [True, True]
        machine.unprepare([1])
        machine.settle(5.0)

    assert TOTAL["steps"] == steps + 4


def test_a_full_disk_refuses_and_a_retry_heals() -> None:
    """No record, no document and no hold is left of a Prepare that could not be kept."""
    with _story() as machine:
        machine.disk(Sickness(errno=errno.ENOSPC))
        machine.launch("a", 0, "", now=True)
        machine.settle(1.0)
        assert machine.node.counts["refusals"] == 1
        assert not list(machine.node.disk.records.iterdir())
        machine.disk(None)
        machine.prepare([0])
        machine.settle(1.0)
        assert machine.node.stories["a-0"].in_use


def test_a_claim_is_ready_on_disk_after_a_prepare_that_follows_a_failed_unprepare() -> None:
    """The disk has that the claim is unprepared, and fails only then: the next Prepare saves that it is ready again."""
    with _story((FIRST,)) as machine:
        machine.disk(Sickness(errno=errno.ENOSPC, late=True))
        machine.unprepare([0])
        machine.settle(1.0)
        assert machine.node.counts["refusals"] == 1
        machine.disk(None)
        machine.prepare([0])
        machine.settle(1.0)
        assert machine.node.stories["a-0"].in_use


def test_a_record_whose_save_failed_in_the_end_goes_with_the_unprepare() -> None:
    """The disk has the intent of a Prepare, and fails only then: the Unprepare leaves no record that holds a device."""
    with _story() as machine:
        machine.disk(Sickness(errno=errno.ENOSPC, late=True))
        machine.launch("a", 0, "", now=True)
        machine.settle(1.0)
        assert machine.node.counts["refusals"] == 1
        machine.disk(None)
        machine.unprepare([0])
        machine.settle(1.0)
        assert machine.node.stories["a-0"].let_go
        assert machine.node.find_record("a-0") is None


def test_a_reload_that_comes_to_the_same_count_is_noticed_by_the_next_prepare() -> None:
    """Amdgpu loaded anew swaps the minors of two GPUs: no claim gets the other GPU's, though KFD counts as before."""
    with _story() as machine:
        machine.driver(235, "reload", turned=True)
        machine.launch("a", 0, "", now=True)
        machine.settle(1.0)
        assert machine.node.stories["a-0"].in_use


def test_a_claim_whose_record_was_lost_keeps_its_device_until_it_is_known() -> None:
    """A record is cut while the API server is away: another claim on the device is refused, and may come later."""
    with _story((FIRST,)) as machine:
        machine.api(down=True)
        machine.corrupt(0, 20)
        machine.settle(1.0)
        machine.api(down=False)
        machine.launch("b", 0, "", now=True)
        machine.settle(1.0)
        assert machine.node.counts["refusals"] == 1
        assert machine.node.stories["a-0"].in_use
        machine.settle(601.0)
        assert machine.node.find_record("a-0") is not None


@pytest.mark.parametrize("beside", [False, True])
def test_the_device_of_a_record_that_is_too_new_is_held(*, beside: bool) -> None:
    """Its claim is answered what to do, another one on its device is refused; both go on when the newer driver does."""
    with _story((FIRST,)) as machine:
        machine.other_version(0, "newer", beside=beside)
        machine.settle(1.0)
        machine.launch("b", 0, "", now=True)
        machine.prepare([0])
        machine.settle(1.0)
        assert machine.node.counts["refusals"] == 2
        machine.upgrade(0)
        machine.settle(1.0)
        machine.prepare([0])
        machine.settle(1.0)
        assert machine.node.stories["a-0"].in_use


def test_a_newer_driver_beside_an_older_one_adds_fields_that_both_keep() -> None:
    """What the newer instance has added to a record is there after the older one has prepared the claim again."""
    with _story() as machine:
        machine.join(adds=True)
        machine.settle(5.0)
        machine.launch("a", 0, "", now=True)
        machine.settle(1.0)
        assert machine.node.stories["a-0"].upgraded
        machine.prepare([0], old=True)
        machine.settle(1.0)
        assert machine.node.counts["refusals"] == 0


def test_of_two_instances_the_newer_one_looks_after_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one version writes another might find wanting: the older one leaves claims alone, whatever GPUs do."""
    looks = list[Verifier]()
    look = Verifier.look

    async def note(verifier: Verifier, *, ask: bool = True) -> None:
        looks.append(verifier)
        await look(verifier, ask=ask)

    with _story((FIRST,)) as machine:
        machine.join(adds=False)
        machine.settle(45.0)
        monkeypatch.setattr(Verifier, "look", note)
        machine.driver(511, "reload", turned=True)
        machine.settle(61.0)
        assert {
            machine.node.processes.index(process) for process in machine.node.processes if process.verifier in looks
        } == {1}
        monkeypatch.undo()


def test_two_instances_give_a_device_to_one_claim() -> None:
    """Both get a Prepare of one device in the same moment: one is refused, whatever order their steps have."""
    for order in ([0, 1], [1, 0], [0], [1, 1, 0]):
        with _story() as machine:
            machine.join(adds=False)
            machine.settle(5.0)
            for name, old in (("a", True), ("b", False)):
                machine.launch(name, 0, "", now=False)
                machine.node.call("prepare", [machine.node.server.claims.claims["ns", name].uid], old=old)
            machine.go_on(order * 10)
            machine.settle(5.0)
            assert sum(story.in_use for story in machine.node.stories.values()) == 1


@pytest.mark.parametrize("points", range(12))
def test_a_gpu_goes_to_rest_when_one_of_two_instances_is_killed(points: int) -> None:
    """Killed anywhere between the end of a claim and the idle mode: the instance that stays takes the GPU there."""
    ending = Ending(pair=True, killed_after=points)
    with _story((f"{FIRST}-cpx-1",), idle_mode="SPX", ending=ending):
        pass

"""The same machine on a disk whose system calls fail, that tears what a killed process writes, and loses power."""

import errno
import itertools
from collections.abc import Iterator
from fnmatch import fnmatch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from amdgpu_dra.testing.cutfs import cut_mount
from amdgpu_dra.testing.model.disk import Disk, Sickness
from amdgpu_dra.testing.model.machine import NodeMachine
from amdgpu_dra.testing.model.scene import FIRST, Setting
from amdgpu_dra.testing.model.search import find_first


class MountedMachine(NodeMachine):
    """A node whose files are on the mount."""


@pytest.fixture(scope="module", autouse=True)
def _mount() -> Iterator[None]:
    with cut_mount() as mounted:
        MountedMachine.mount = mounted
        yield
        MountedMachine.mount = None


def _begin(pods: int) -> MountedMachine:
    machine = MountedMachine()
    machine.boot(Setting(pool=((FIRST,),), pods=pods, pace=1000))
    machine.node.settle(1)
    return machine


def test_nothing_that_befalls_a_node_breaks_a_rule() -> None:
    """As in `machine_test`, with real faults of the disk."""
    how = settings(max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(MountedMachine, settings=how)


@pytest.mark.parametrize("verb", ["create", "write", "sync", "rename"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS], ids=errno.errorcode.get)
def test_a_system_call_that_fails_once_costs_one_refusal_at_most(verb: str, number: int) -> None:
    """The kubelet's next try succeeds, and in the end nothing is left over."""
    machine = _begin(0)
    machine.disk(Sickness(errno=number, verbs=(verb,), times=1))
    machine.launch("a", 0, "", now=True)
    assert machine.node.counts["refusals"] <= 1
    machine.prepare([0])
    machine.node.settle(1)
    assert machine.node.stories["a-0"].in_use
    machine.teardown()


def test_a_kill_between_any_two_system_calls_of_a_prepare_is_survived() -> None:
    """The next process finds the claim or does not, and prepares it when it is asked again."""
    for points, half in itertools.product(range(6), range(1, 7)):
        machine = _begin(0)
        machine.pace = 0
        machine.launch("a", 0, "", now=True)
        machine.go_on([0] * points)
        machine.kill(0, half, again=True)
        machine.settle(1.0)
        machine.prepare([0])
        machine.settle(1.0)
        assert machine.node.stories["a-0"].in_use, (points, half)
        machine.teardown()


@pytest.mark.parametrize("kept", [[False], [True], [True, False], [False, True]])
def test_a_power_cut_leaves_what_the_kubelet_was_told(kept: list[bool]) -> None:
    """A prepared claim is there after the cut, one that was let go of is not."""
    machine = _begin(2)
    machine.reboot(511, kept, turned=True)
    machine.node.settle(61)
    assert machine.node.stories["a-0"].in_use
    machine.unprepare([0])
    machine.reboot(235, kept, turned=False)
    assert machine.node.find_record("a-0") is None
    machine.teardown()


@pytest.mark.parametrize("path", ["/claims", "/claims/.*.tmp"], ids=["names", "bytes"])
def test_a_sync_that_is_not_made_is_found(path: str) -> None:
    """Of the names in the folder of records, or of their bytes; by stories that follow no plan."""

    class Careless(MountedMachine):
        def _make_disk(self) -> Disk:
            disk = super()._make_disk()
            assert self.mount is not None
            self.mount.disk.ignores = lambda synced: fnmatch(synced, path)
            return disk

    assert find_first(Careless, 60) is not None

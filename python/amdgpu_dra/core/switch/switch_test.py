"""When a switch is over, what is shown meanwhile, and what a refusal proves."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.core.fakegpu import FleetSpec, render
from amdgpu_dra.core.gpu import Inventory, parse
from amdgpu_dra.core.switch import (
    KfdProcess,
    Outcome,
    Switch,
    disproves,
    has_arrived,
    hold_still,
    name_holders,
    processes_on,
    refusal,
)
from amdgpu_dra.edge.faketree import read_fleet

FLEET = read_fleet("mi300x-8-spx")


def _in_modes(fleet: FleetSpec, *modes: str) -> Inventory:
    gpus = tuple(replace(gpu, compute=mode) for gpu, mode in zip(fleet.gpus, modes, strict=False))
    return parse(render(replace(fleet, gpus=gpus)))


SPX, CPX = _in_modes(FLEET, "SPX", "SPX"), _in_modes(FLEET, "CPX", "SPX")
ADDRESS = SPX.gpus[0].address
SWITCH = Switch(address=ADDRESS, mode="CPX", indices=frozenset(range(8)))


def test_a_switch_is_over_when_mode_and_partitions_are_there() -> None:
    """Not before it, not with a partition short, and not for a GPU that is not there."""
    short = replace(CPX.gpus[0], partitions=CPX.gpus[0].partitions[:-1])

    assert has_arrived(CPX, SWITCH)
    assert not has_arrived(SPX, SWITCH)
    assert not has_arrived(replace(CPX, gpus=(short,)), SWITCH)
    assert not has_arrived(Inventory(), SWITCH)


def test_a_partition_that_nobody_was_promised_is_not_waited_for() -> None:
    """As the 64th of a node whose DRM minors have run out."""
    short = replace(CPX.gpus[0], partitions=CPX.gpus[0].partitions[:-1])

    assert has_arrived(replace(CPX, gpus=(short,)), replace(SWITCH, indices=frozenset(range(7))))


def test_a_partition_without_render_node_is_not_there() -> None:
    """KFD alone makes no device."""
    parts = tuple(replace(part, render=None if part.index == 3 else part.render) for part in CPX.gpus[0].partitions)

    assert not has_arrived(replace(CPX, gpus=(replace(CPX.gpus[0], partitions=parts),)), SWITCH)


@given(st.integers(0, 8))
def test_a_gpu_under_way_is_shown_as_it_was(left: int) -> None:
    """However much of it KFD shows, the GPU is as known before, in its place; the others are as they are now."""
    known = {ADDRESS: SPX.gpus[0]}
    half = replace(CPX.gpus[0], compute_mode=None, partitions=CPX.gpus[0].partitions[:left])

    assert hold_still(replace(SPX, gpus=(half, *SPX.gpus[1:])), known) == SPX
    assert hold_still(replace(SPX, gpus=SPX.gpus[1:]), known) == SPX
    assert hold_still(CPX, {}) == CPX


IDS = [part.gpu_id for gpu in SPX.gpus for part in gpu.partitions]
HERE, THERE = IDS


def _process(pid: int, *gpu_ids: int | None) -> KfdProcess:
    return KfdProcess(pid=pid, gpu_ids=frozenset(gpu_id for gpu_id in gpu_ids if gpu_id is not None))


@pytest.mark.parametrize(
    ("processes", "proof"),
    [
        ([], False),
        ([_process(1)], False),
        ([_process(1, HERE)], False),
        ([_process(1, HERE, THERE)], False),
        ([_process(1, THERE)], True),
        ([_process(1, THERE), _process(2)], True),
        ([_process(1, THERE), _process(2, HERE)], False),
    ],
    ids=["nobody", "no-memory", "here", "both", "elsewhere", "elsewhere-and-no-memory", "each-one"],
)
def test_busy_disproves_only_with_memory_elsewhere_and_none_here(processes: list[KfdProcess], *, proof: bool) -> None:
    """A holder of this GPU explains EBUSY; nobody anywhere proves nothing."""
    assert disproves(SPX.gpus[0], processes) is proof


def test_every_partition_counts_for_its_gpu() -> None:
    """A process on one partition holds the whole GPU, and no other."""
    last = CPX.gpus[0].partitions[-1].gpu_id
    process = _process(1, last)

    assert processes_on(CPX.gpus[0], [process]) == (process,)
    assert processes_on(CPX.gpus[1], [process]) == ()


def test_a_refusal_names_who_is_in_the_way() -> None:
    """Holders before openers, and plain words if nobody is known; other refusals are the kernel's."""
    holder, opener = KfdProcess(pid=7, name="python3"), KfdProcess(pid=9)

    assert refusal(Outcome.BUSY, [holder], [opener]) == "EBUSY: it is in use by python3 (PID 7)"
    assert "/dev/kfd is open in PID 9 of the node" in refusal(Outcome.BUSY, [], [opener])
    assert "may not be cleared away yet" in refusal(Outcome.BUSY, [], [])
    assert refusal(Outcome.FAILED, [holder], []).startswith("EIO")


def test_many_holders_are_counted() -> None:
    """The first four are named."""
    text = name_holders(KfdProcess(pid=number) for number in range(10))

    assert text.count("PID") == 4
    assert text.endswith("and 6 more")

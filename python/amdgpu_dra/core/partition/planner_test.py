"""The plan of a mode is what KFD shows once the GPU is in it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given

from amdgpu_dra.core.fakegpu import MODELS, FleetSpec, GpuSpec, NumaNode, render
from amdgpu_dra.core.gpu import Gpu, Inventory, Partition, PciAddress, parse
from amdgpu_dra.core.partition import choose_repartition, count_now, legal_modes, plan_modes
from amdgpu_dra.edge.faketree import read_fleet
from amdgpu_dra.testing.strategies import fleets

ADDRESS = PciAddress(0, 5, 0)

RECORDS = Path("python/amdgpu_dra/core/fakegpu/testdata/recorded_memory.json")


def _recorded() -> dict[tuple[str, int, int, str], dict[str, list[int]]]:
    """Recorded or published bytes, apart from any arithmetic of ours.

    Model, whole GPU, XCCs, memory mode -> compute mode -> bytes of each partition.
    """
    found: dict[tuple[str, int, int, str], dict[str, list[int]]] = {}
    for row in json.loads(RECORDS.read_text()):
        if row["memory_mode"] is not None:
            key = (row["model"], row["whole"], row["xccs"], row["memory_mode"])
            found.setdefault(key, {})[row["compute_mode"]] = [size for size, n in row["bytes"] for _ in range(n)]
    return found


RECORDED = _recorded()


def _gpu(vram: int | None, xccs: int, memory_mode: str, mode: str, rows: dict[str, list[int]]) -> Gpu:
    """A GPU in `mode`, as KFD shows it, that offers the modes of `rows`."""
    count = len(rows[mode])
    return Gpu(
        address=ADDRESS,
        vram=vram,
        compute_mode=mode,
        memory_mode=memory_mode,
        compute_modes=tuple(rows),
        has_pci=True,
        partitions=tuple(
            Partition(gpu=ADDRESS, index=i, memory=size, compute_units=38 * xccs // count, xccs=xccs // count)
            for i, size in enumerate(rows[mode])
        ),
    )


@pytest.mark.parametrize("key", RECORDED, ids=lambda key: f"{key[0]}-{key[3]}")
def test_planned_memory_is_the_recorded_one(key: tuple[str, int, int, str]) -> None:
    """From each mode of a GPU the bytes of every other mode are those that were recorded."""
    _, vram, xccs, memory_mode = key
    rows = RECORDED[key]
    for mode in rows:
        planned = plan_modes(_gpu(vram, xccs, memory_mode, mode, rows))

        assert {name: [part.memory for part in parts] for name, parts in planned.items()} == rows


def _bare(part: Partition) -> Partition:
    """What can be planned of a partition."""
    return replace(part, unique_id=None, render=None, card=None, links=(), gpu_id=None)


@given(fleets())
def test_the_plan_of_the_mode_of_now_is_what_kfd_shows(fleet: FleetSpec) -> None:
    """Memory, units, XCCs and target of every partition that exists are those planned for its mode."""
    for gpu in parse(render(fleet)).gpus:
        planned = plan_modes(gpu)

        assert (gpu.compute_mode in planned) == bool(gpu.compute_modes)
        if gpu.compute_mode in planned:
            assert list(planned[gpu.compute_mode]) == [_bare(part) for part in gpu.partitions]


def _pairs() -> Iterator[tuple[str, str, str, str]]:
    for name, model in MODELS.items():
        for memory, modes in model.legal.items():
            for before in modes:
                for after in modes:
                    yield name, memory, before, after


def _rendered(model: str, memory: str, mode: str) -> Gpu:
    spec = GpuSpec(
        address=ADDRESS, model=model, numa=0, pcie_root="pci0000:04", unique_id=1, compute=mode, memory=memory
    )
    (gpu,) = parse(render(FleetSpec(name="one", gpus=(spec,), numa=(NumaNode(cores=1, memory=1),)))).gpus
    return gpu


@pytest.mark.parametrize(("model", "memory", "before", "after"), list(_pairs()))
def test_the_plan_of_another_mode_is_what_kfd_will_show(model: str, memory: str, before: str, after: str) -> None:
    """For every pair of modes: what is planned in the one is what is there in the other."""
    planned = plan_modes(_rendered(model, memory, before))

    assert set(planned) == set(MODELS[model].legal[memory])
    assert list(planned[after]) == [_bare(part) for part in _rendered(model, memory, after).partitions]


def test_modes_that_the_memory_mode_forbids_are_not_planned() -> None:
    """Kernels before 7.x name the modes of every memory mode: the kernel's own rule leaves the legal ones."""
    gpu = _rendered("MI300X", "NPS4", "CPX")

    assert gpu.compute_modes == ("SPX", "DPX", "QPX", "CPX")
    assert legal_modes(gpu) == ("QPX", "CPX")
    assert legal_modes(replace(gpu, memory_mode=None)) == gpu.compute_modes


def test_a_new_gpu_is_planned_from_what_its_kernel_names() -> None:
    """A target that no table knows takes the kernel's list as it is; a mode whose count is not known is left out."""
    old = _rendered("MI300X", "NPS1", "SPX")
    parts = tuple(replace(part, gfx_target="gfx1250") for part in old.partitions)
    new = replace(old, partitions=parts, memory_mode="NPS1", compute_modes=("SPX", "QPX", "OPX"))

    assert {mode: len(parts) for mode, parts in plan_modes(new).items()} == {"SPX": 1, "QPX": 4}


def test_the_last_partition_that_ran_out_of_minors_is_planned() -> None:
    """KFD shows 63 of 64 partitions, and the plan has 64: memory tells how many XCCs the last GPU has."""
    last = parse(render(read_fleet("mi300x-8-63"))).gpus[-1]

    assert (len(last.partitions), count_now(last)) == (7, 8)
    assert {mode: len(parts) for mode, parts in plan_modes(last).items()} == {"SPX": 1, "DPX": 2, "QPX": 4, "CPX": 8}


def test_all_memory_of_a_range_for_each_of_its_partitions() -> None:
    """With compute_partition_mem_alloc_mode ALL no range is divided."""
    whole = 206141652992
    gpu = replace(_gpu(whole, 8, "NPS1", "CPX", {"SPX": [whole], "CPX": [whole] * 8}), memory_alloc_mode="ALL")

    assert [part.memory for part in plan_modes(gpu)["CPX"]] == [whole] * 8
    assert [part.memory for part in plan_modes(gpu)["SPX"]] == [whole]


def test_memory_that_does_not_follow_is_not_stated() -> None:
    """If KFD shows other bytes than the rule gives, no byte of another mode is made up; the rest is planned."""
    rows = {"SPX": [206141652992], "CPX": [25767706624] * 8}
    planned = plan_modes(_gpu(206141652992 - (1 << 30), 8, "NPS1", "SPX", rows))

    assert [part.memory for part in planned["CPX"]] == [None] * 8
    assert [part.compute_units for part in planned["CPX"]] == [38] * 8


def test_an_apu_is_planned_from_the_memory_that_it_shares() -> None:
    """Without memory of its own the whole GPU is what KFD shows in SPX mode."""
    rows = {"SPX": [67553968128], "TPX": [22517989376] * 3, "CPX": [11258994688] * 6}
    gpu = _gpu(None, 6, "NPS1", "SPX", rows)
    apu = replace(gpu, partitions=tuple(replace(part, unified_memory=True) for part in gpu.partitions))

    assert {mode: [part.memory for part in parts] for mode, parts in plan_modes(apu).items()} == rows
    assert all(part.unified_memory for parts in plan_modes(apu).values() for part in parts)


def test_a_gpu_without_modes_is_not_planned() -> None:
    """Nothing is planned without modes, without partitions, and where XCCs are not known."""
    gpu = _rendered("MI300X", "NPS1", "SPX")
    unknown = tuple(replace(part, xccs=None) for part in gpu.partitions)

    assert plan_modes(replace(gpu, compute_mode=None)) == {}
    assert plan_modes(replace(gpu, partitions=())) == {}
    assert plan_modes(replace(gpu, partitions=unknown)) == {}


@pytest.mark.parametrize(
    ("option", "newer", "per_gpu", "reason"),
    [
        ("auto", True, True, ""),
        ("auto", False, False, "NoPerGpuConfig"),
        ("per-gpu", False, True, ""),
        ("off", True, False, "RepartitionOff"),
    ],
)
def test_auto_switches_where_the_kernel_looks_at_one_gpu(
    option: str, reason: str, *, newer: bool, per_gpu: bool
) -> None:
    """`auto` is per-gpu where compute_partition_config exists, else off with the reason."""
    inventory = Inventory(gpus=(Gpu(address=ADDRESS, per_gpu_config=newer),))
    choice = choose_repartition(option, inventory)

    assert (choice.per_gpu, choice.reason) == (per_gpu, reason)
    assert bool(choice.detail) == (not per_gpu)

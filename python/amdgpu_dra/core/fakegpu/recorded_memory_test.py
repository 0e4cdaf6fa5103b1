"""Memory of partitions against figures that were recorded or published, kept as data apart from the arithmetic."""

import json
from pathlib import Path
from typing import TypedDict

import pytest

from amdgpu_dra.core.fakegpu import MODELS, FleetSpec, GpuSpec, NumaNode, render
from amdgpu_dra.core.gpu import PciAddress, parse


class Row(TypedDict):
    """One mode of one model; `bytes` are pairs of size and number of partitions, in the order of their indices."""

    model: str
    whole: int
    xccs: int
    memory_mode: str | None
    compute_mode: str | None
    bytes: list[tuple[int, int]]
    source: str


RECORDED: list[Row] = json.loads(Path("python/amdgpu_dra/core/fakegpu/testdata/recorded_memory.json").read_text())


@pytest.mark.parametrize("row", RECORDED, ids=lambda row: f"{row['model']}-{row['compute_mode']}-{row['memory_mode']}")
def test_partitions_have_the_recorded_memory(row: Row) -> None:
    """Each partition of each mode has the bytes that real nodes and documents state, and so has the whole GPU."""
    gpu = GpuSpec(
        address=PciAddress(0, 5, 0),
        model=row["model"],
        numa=0,
        pcie_root="pci0000:04",
        unique_id=1,
        compute=row["compute_mode"],
        memory=row["memory_mode"],
    )
    (found,) = parse(render(FleetSpec(name="one", gpus=(gpu,), numa=(NumaNode(cores=1, memory=1),)))).gpus

    assert found.vram == row["whole"]
    assert [part.memory for part in found.partitions] == [size for size, count in row["bytes"] for _ in range(count)]


def test_every_partitionable_model_has_records() -> None:
    """A model with memory of its own and modes is recorded under each of its memory modes, but for name twins."""
    recorded = {(row["model"], row["memory_mode"]) for row in RECORDED}
    twins = {"MI300X-HF", "MI308X-HF"}
    # Nothing is known of an MI325X under NPS2.
    wanted = {(m.name, mode) for m in MODELS.values() for mode in m.legal if not m.is_apu and m.name not in twins}

    assert wanted - recorded == {("MI325X", "NPS2")}

"""The table is one row a model, and its modes are those that the kernel accepts and AMD documents."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.core.models import COMPUTE_MODES, MODELS, Model, find_model, legal_modes, partition_count

# What AMD documents or validates (model -> memory mode -> compute modes), kept apart from the rule.
DOCUMENTED = {
    "MI300X": {"NPS1": {"SPX", "DPX", "QPX", "CPX"}, "NPS2": {"DPX"}, "NPS4": {"QPX", "CPX"}},
    "MI325X": {"NPS1": {"SPX", "DPX", "QPX", "CPX"}, "NPS2": {"DPX"}, "NPS4": {"QPX", "CPX"}},
    "MI308X": {"NPS1": {"SPX", "DPX", "CPX"}, "NPS4": {"CPX"}},
    "MI300A": {"NPS1": {"SPX", "TPX", "CPX"}},
    "MI350X": {"NPS1": {"SPX", "DPX", "QPX", "CPX"}, "NPS2": {"DPX", "QPX", "CPX"}},
    "MI355X": {"NPS1": {"SPX", "DPX", "QPX", "CPX"}, "NPS2": {"DPX", "QPX", "CPX"}},
}
MIGRATION = Path("docs/howto/migrate-from-device-plugin.md")
ROWS = st.sampled_from(list(MODELS.values()))


@pytest.mark.parametrize("name", DOCUMENTED)
def test_modes_are_those_of_the_documents(name: str) -> None:
    """Each partitionable model has exactly the documented pairs of modes."""
    assert {memory: set(modes) for memory, modes in MODELS[name].legal.items()} == DOCUMENTED[name]


@given(ROWS)
def test_partitions_share_everything_evenly(model: Model) -> None:
    """Each legal mode cuts XCCs and compute units into equal parts; a GPU of one XCC has no modes."""
    for modes in model.legal.values():
        assert modes
        for mode in modes:
            count = partition_count(mode, model.xccs)
            assert model.xccs % count == model.compute_units % count == 0
    assert bool(model.legal) == (model.xccs > 1)
    assert partition_count(None, model.xccs) == 1


@given(
    gfx=st.sampled_from(["gfx942", "gfx950"]),
    xccs=st.integers(1, 8),
    memory=st.sampled_from(["NPS1", "NPS2", "NPS4", "NPS8"]),
    apu=st.booleans(),
)
def test_a_partition_never_spans_memory_ranges(gfx: str, xccs: int, memory: str, *, apu: bool) -> None:
    """Under every memory mode but an APU's there are at least as many partitions as ranges, and ranges share evenly."""
    ranges = int(memory.removeprefix("NPS"))
    for mode in legal_modes(gfx, xccs, memory, apu=apu):
        count = partition_count(mode, xccs)
        assert mode in COMPUTE_MODES
        assert xccs % count == 0
        if not apu and xccs % 4 == 0:
            assert count % ranges == 0


def test_a_target_that_is_not_partitioned_has_no_modes() -> None:
    """Unknown and unpartitioned targets give none."""
    assert legal_modes("gfx90a", 1, "NPS1") == legal_modes("gfx1300", 8, "NPS1") == ()


@given(ROWS)
def test_every_row_is_found_by_its_ids(model: Model) -> None:
    """Physical and virtual function of each row lead to that row and to no other."""
    revision = f"{model.revision:#04x}"

    assert find_model(f"{model.device_id:#06x}", revision) == model
    if model.vf_id:
        assert find_model(f"{model.vf_id:#06x}", None) == model
    ids = [number for row in MODELS.values() for number in (row.device_id, row.vf_id) if number]
    assert len(set(ids)) == len(ids)


def test_another_revision_is_another_product() -> None:
    """An RX 7900 XT has the id of the XTX and is not called one; an Instinct is itself in every revision."""
    assert find_model("0x744c", "0xcc") is None
    assert find_model("0x744c", None) is None
    assert find_model("0x74a1", "0x07") == MODELS["MI300X"]
    assert find_model("0xffff", "0x00") is find_model(None, None) is None


def test_every_profile_has_its_line_in_the_migration() -> None:
    """The page for users of the device plugin maps the resource name of each profile that a model can have."""
    pairs = ((mode, memory) for model in MODELS.values() for memory, modes in model.legal.items() for mode in modes)

    lines = MIGRATION.read_text().splitlines()
    for profile in {f"{mode}_{memory}".lower() for mode, memory in pairs}:
        assert any(line.startswith(f"| `amd.com/{profile}` |") for line in lines), profile

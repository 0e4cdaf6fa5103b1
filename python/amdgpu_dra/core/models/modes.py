"""Which compute modes a GPU can take under which memory mode: the kernel's rule (amdgpu/aqua_vanjaram.c)."""

from collections.abc import Mapping

COMPUTE_MODES = ("SPX", "DPX", "TPX", "QPX", "CPX")

# Partitions of a mode; CPX makes one of each XCC.
FIXED_COUNTS = {"SPX": 1, "DPX": 2, "TPX": 3, "QPX": 4}
PER_XCC = "CPX"
# gfx target -> compute mode -> memory modes that go with it. TPX under NPS4 exists on APUs only.
_MEMORY_MODES = {
    "gfx942": {
        "SPX": ("NPS1",),
        "DPX": ("NPS1", "NPS2"),
        "TPX": ("NPS1", "NPS4"),
        "QPX": ("NPS1", "NPS4"),
        "CPX": ("NPS1", "NPS4"),
    },
    "gfx950": {
        "SPX": ("NPS1",),
        "DPX": ("NPS1", "NPS2"),
        "QPX": ("NPS1", "NPS2", "NPS4"),
        "CPX": ("NPS1", "NPS2", "NPS4"),
    },
}


def memory_rule(gfx: str) -> Mapping[str, tuple[str, ...]] | None:
    """Compute mode -> memory modes under which the kernel takes it; None for a target that the rule does not know."""
    return _MEMORY_MODES.get(gfx)


def partition_count(mode: str | None, xccs: int) -> int:
    """How many partitions a compute mode makes of so many XCCs; one where there are no modes."""
    return 1 if mode is None else FIXED_COUNTS.get(mode, xccs)


def legal_modes(gfx: str, xccs: int, memory_mode: str, *, apu: bool = False) -> tuple[str, ...]:
    """The compute modes that the kernel accepts, in its order; none for a target that it does not partition.

    Whether the hardware has the memory mode at all is its own question, which firmware answers.
    """
    allowed = _MEMORY_MODES.get(gfx, {})
    return tuple(
        mode
        for mode in COMPUTE_MODES
        if memory_mode in allowed.get(mode, ())
        and _divides(mode, xccs)
        and (apu or (mode, memory_mode) != ("TPX", "NPS4"))
    )


def _divides(mode: str, xccs: int) -> bool:
    """Whether the XCCs can be cut so."""
    return {"SPX": xccs > 0, "DPX": xccs % 4 == 0, "TPX": xccs == 6, "QPX": xccs == 8, "CPX": xccs > 1}[mode]  # noqa: PLR2004 - the kernel's numbers

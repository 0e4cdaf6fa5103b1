"""Compute modes: into how many partitions each cuts a GPU, and under which memory modes the kernel takes it.

Source: drivers/gpu/drm/amd/amdgpu/aqua_vanjaram.c.
"""

from amdgpu_dra.core.gpu import Gpu

# Partitions of a mode; CPX makes one of each XCC.
COUNTS = {"SPX": 1, "DPX": 2, "TPX": 3, "QPX": 4}
PER_XCC = "CPX"

# gfx target -> compute mode -> memory modes under which the kernel takes it. A target that is not here is new, and its
# kernel lists only what is legal.
_LEGAL = {
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


def partition_count(mode: str, xccs: int) -> int | None:
    """How many partitions a mode makes of a GPU with so many XCCs; None if it cannot be cut so."""
    count = xccs if mode == PER_XCC else COUNTS.get(mode)
    return count if count and xccs > 0 and xccs % count == 0 else None


def legal_modes(gpu: Gpu) -> tuple[str, ...]:
    """The compute modes that can be set under the memory mode that is set now, in the kernel's order.

    `available_compute_partition` names them; before 7.x it names those of every memory mode, so the kernel's rule is
    applied to it. The mode that is set now is legal, whatever the rule says.
    """
    targets = {part.gfx_target for part in gpu.partitions}
    rule = _LEGAL.get(next(iter(targets)) or "") if len(targets) == 1 else None
    return tuple(
        mode
        for mode in gpu.compute_modes
        if mode == gpu.compute_mode or rule is None or gpu.memory_mode is None or gpu.memory_mode in rule.get(mode, ())
    )

"""Compute modes of a GPU as sysfs lists them: which are legal now, and into how many partitions each cuts it."""

from amdgpu_dra.core.gpu import Gpu
from amdgpu_dra.core.models import FIXED_COUNTS, PER_XCC, memory_rule


def partition_count(mode: str, xccs: int) -> int | None:
    """How many partitions a mode makes of a GPU with so many XCCs; None if it cannot be cut so."""
    count = xccs if mode == PER_XCC else FIXED_COUNTS.get(mode)
    return count if count and xccs > 0 and xccs % count == 0 else None


def legal_modes(gpu: Gpu) -> tuple[str, ...]:
    """The compute modes that can be set under the memory mode that is set now, in the kernel's order.

    `available_compute_partition` names them; before 7.x it names those of every memory mode, so the kernel's rule is
    applied to it where it knows the GPU's target; the kernel of a newer one lists only what is legal. The mode that is
    set now is legal, whatever the rule says.
    """
    targets = {part.gfx_target for part in gpu.partitions}
    rule = memory_rule(next(iter(targets)) or "") if len(targets) == 1 else None
    return tuple(
        mode
        for mode in gpu.compute_modes
        if mode == gpu.compute_mode or rule is None or gpu.memory_mode is None or gpu.memory_mode in rule.get(mode, ())
    )

"""`plan_modes(gpu)`: the partitions of every legal mode, before any of them exists."""

from dataclasses import dataclass

from amdgpu_dra.core.gpu import Gpu, Partition
from amdgpu_dra.core.models import FIXED_COUNTS, PER_XCC
from amdgpu_dra.core.partition.modes import legal_modes, partition_count

# The driver keeps 16 MiB, at the end of the highest memory range (amdgpu_gmc.c).
_RESERVED = 16 << 20
_PAGE = 4096
# Partitions of a range may each use all of it (compute_partition_mem_alloc_mode).
_SHARED = "ALL"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Whole:
    """What the GPU has in all; None where sysfs does not tell."""

    xccs: int
    compute_units: int | None
    simd_units: int | None
    memory: int | None


def plan_modes(gpu: Gpu) -> dict[str, tuple[Partition, ...]]:
    """Compute mode -> its partitions, from the coarsest mode to the finest, under the memory mode that is set now.

    Each has the memory, compute units, SIMDs and XCCs that KFD will show, and no DRM nodes. A value that does not
    follow from what sysfs says now is None. Empty if the GPU has no modes, or if its XCCs are not known.
    """
    whole = _whole(gpu)
    if whole is None:
        return {}
    counts = {mode: partition_count(mode, whole.xccs) for mode in legal_modes(gpu)}
    known = sorted(((mode, count) for mode, count in counts.items() if count), key=lambda item: item[1])
    return {mode: tuple(_plan(gpu, whole, count, index) for index in range(count)) for mode, count in known}


def count_now(gpu: Gpu) -> int | None:
    """How many partitions the GPU has in its mode, including those that KFD does not show for want of a DRM node.

    In CPX mode that is the number of its XCCs, which the whole GPU's memory tells: KFD may lack the last partition.
    """
    if gpu.compute_mode is None or not gpu.partitions:
        return None
    shown, first = len(gpu.partitions), gpu.partitions[0]
    if gpu.compute_mode != PER_XCC:
        return FIXED_COUNTS.get(gpu.compute_mode)
    if gpu.vram and first.memory and gpu.memory_alloc_mode != _SHARED and not first.unified_memory:
        return max(shown, round(gpu.vram / first.memory))
    return shown


def _whole(gpu: Gpu) -> _Whole | None:
    count = count_now(gpu)
    xccs = _same([part.xccs for part in gpu.partitions])
    if count is None or xccs is None:
        return None
    units = _same([part.compute_units for part in gpu.partitions])
    simds = _same([part.simd_units for part in gpu.partitions])
    return _Whole(
        xccs=xccs * count,
        compute_units=None if units is None else units * count,
        simd_units=None if simds is None else simds * count,
        memory=_whole_memory(gpu, count),
    )


def _same(values: list[int | None]) -> int | None:
    """The value that all of them have."""
    return values[0] if len(set(values)) == 1 else None


def _whole_memory(gpu: Gpu, count: int) -> int | None:
    """Bytes of the whole GPU, if the rule makes of them what KFD shows of the partitions that exist."""
    memory = gpu.vram if gpu.vram is not None else gpu.partitions[0].memory if count == 1 else None
    if gpu.partitions[0].unified_memory and count == 1:
        memory = gpu.partitions[0].memory
    if memory is None:
        return None
    agrees = all(part.memory == _memory(gpu, memory, count, part.index) for part in gpu.partitions)
    return memory if agrees else None


def _memory(gpu: Gpu, whole: int, count: int, index: int) -> int | None:
    """Bytes of one partition: its memory range, of which the highest lacks the driver's share, by its sharers."""
    ranges = _ranges(gpu.memory_mode)
    if ranges is None or count % ranges:
        return None
    sharers = count // ranges
    own = (whole + _RESERVED) // ranges - (_RESERVED if index // sharers == ranges - 1 else 0)
    return own // (1 if gpu.memory_alloc_mode == _SHARED else sharers) // _PAGE * _PAGE


def _memory_now(gpu: Gpu, count: int, index: int) -> int | None:
    """What KFD shows of a partition, if the GPU is cut into so many now: the host's memory follows no rule of ours."""
    return next((part.memory for part in gpu.partitions if part.index == index and count == count_now(gpu)), None)


def _ranges(memory_mode: str | None) -> int | None:
    digits = (memory_mode or "").removeprefix("NPS")
    return int(digits) or None if digits.isascii() and digits.isdigit() else None


def _plan(gpu: Gpu, whole: _Whole, count: int, index: int) -> Partition:
    first = gpu.partitions[0]
    return Partition(
        gpu=gpu.address,
        index=index,
        memory=_memory_now(gpu, count, index) if whole.memory is None else _memory(gpu, whole.memory, count, index),
        unified_memory=first.unified_memory,
        compute_units=_share(whole.compute_units, count),
        simd_units=_share(whole.simd_units, count),
        xccs=whole.xccs // count,
        gfx_target=first.gfx_target,
    )


def _share(whole: int | None, count: int) -> int | None:
    """An equal share, if there is one."""
    return whole // count if whole is not None and whole % count == 0 else None

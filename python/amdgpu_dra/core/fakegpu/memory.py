"""How much memory each partition of a fake GPU has: amdgpu_amdkfd.c, KFD_XCP_MEMORY_SIZE, and amdgpu_gmc.c."""

from amdgpu_dra.core.fakegpu.fleet import FleetSpec, GpuSpec
from amdgpu_dra.core.models import MODELS

# The driver keeps 16 MiB of each GPU to itself.
_RESERVED = 16 << 20
_PAGE = 4096


def vram_of(gpu: GpuSpec) -> int:
    """Bytes that `mem_info_vram_total` states: of the GPU's own memory; of an APU what firmware carved out, or 0."""
    model = MODELS[gpu.model]
    if gpu.vram is not None:
        return gpu.vram
    return 0 if model.is_apu else model.memory - _RESERVED


def memory_of(fleet: FleetSpec, gpu: GpuSpec, count: int, index: int) -> int:
    """Bytes of one of `count` partitions.

    Its memory range, of which the last is short of the driver's share, by the partitions of that range; on an APU what
    the kernel lets GPUs use of the host's memory.
    """
    if MODELS[gpu.model].is_apu:
        return max(_host_share(fleet, gpu, count), vram_of(gpu) // count)
    if gpu.vram is not None and count == 1:
        return gpu.vram
    ranges = int((gpu.memory or "NPS1").removeprefix("NPS"))
    sharers = max(1, count // ranges)
    size = MODELS[gpu.model].memory // ranges - (_RESERVED if index // sharers == ranges - 1 else 0)
    return size // sharers // _PAGE * _PAGE


def _host_share(fleet: FleetSpec, gpu: GpuSpec, count: int) -> int:
    """Half of the host's pages (ttm_pages_limit); of an APU with partitions, its NUMA node's part of them."""
    limit = sum(node.memory // _PAGE for node in fleet.numa) // 2 * _PAGE
    return limit // (len(fleet.numa) if gpu.compute else 1) // count // _PAGE * _PAGE

"""Renders KFD's topology: `class/kfd/kfd` and what it leads to."""

import struct
from collections.abc import Iterator

from amdgpu_dra.core.fakegpu.fleet import FleetSpec
from amdgpu_dra.core.fakegpu.layout import History, Share, shares
from amdgpu_dra.core.fakegpu.links import cpu_joined, cpu_links, gpu_links, link_text, rows_of
from amdgpu_dra.core.gpu import PciAddress

KFD = "devices/virtual/kfd/kfd"
_AMD = 0x1002
# HSA_CAP_FLAGS_COHERENTHOSTACCESS: the host reads and writes its memory as its own.
_COHERENT = 0x10000000

type File = tuple[str, str]

# The order in which kfd_topology.c prints; a CPU node lacks what comes between num_cp_queues and the CPU's clock.
_COMMON = [
    "cpu_cores_count",
    "simd_count",
    "mem_banks_count",
    "caches_count",
    "io_links_count",
    "p2p_links_count",
    "cpu_core_id_base",
    "simd_id_base",
    "max_waves_per_simd",
    "lds_size_in_kb",
    "gds_size_in_kb",
    "num_gws",
    "wave_front_size",
    "array_count",
    "simd_arrays_per_engine",
    "cu_per_simd_array",
    "simd_per_cu",
    "max_slots_scratch_cu",
    "gfx_target_version",
    "vendor_id",
    "device_id",
    "location_id",
    "domain",
    "drm_render_minor",
    "hive_id",
    "num_sdma_engines",
    "num_sdma_xgmi_engines",
    "num_sdma_queues_per_engine",
    "num_cp_queues",
]
_NEWER = ["cwsr_size", "ctl_stack_size"]
_GPU_ONLY = ["max_engine_clk_fcompute", "local_mem_size", "fw_version", "capability"]
_GPU_LAST = ["debug_prop", "sdma_fw_version", "unique_id", "num_xcc"]


def render_kfd(fleet: FleetSpec, history: History) -> Iterator[File]:
    """Every file below KFD's folder."""
    everyone = list(shares(fleet, history))
    yield f"{KFD}/dev", f"{fleet.kfd_major}:0\n"
    yield f"{KFD}/topology/generation_id", f"{history.generation}\n"
    yield f"{KFD}/topology/system_properties", "platform_oem 0\nplatform_id 0\nplatform_rev 2\n"
    for numa in range(len(fleet.numa)):
        yield from _cpu_node(fleet, numa, everyone)
    taken: set[int] = set()
    for share in everyone:
        yield from _gpu_node(fleet, share, everyone, taken)


def _cpu_node(fleet: FleetSpec, numa: int, everyone: list[Share]) -> Iterator[File]:
    node, links = fleet.numa[numa], cpu_links(fleet, numa, everyone)
    values = {
        "cpu_cores_count": node.cores,
        "mem_banks_count": 1,
        "io_links_count": len(links[0]),
        "p2p_links_count": len(links[1]),
        "cpu_core_id_base": node.core_id_base,
        "hive_id": next((s.gpu.hive for s in everyone if s.gpu.numa == numa and cpu_joined(fleet, s)), 0),
        "max_engine_clk_ccompute": fleet.cpu_clock,
    }
    folder = f"{KFD}/topology/nodes/{numa}"
    keys = [*_COMMON, *(_NEWER if fleet.kernel != "6.8" else []), "max_engine_clk_ccompute"]
    yield from _node(folder, "\n", "0\n", keys, values)
    yield f"{folder}/mem_banks/0/properties", _bank(0, node.memory, node.width, node.clock)
    for kind, number, row in rows_of(links):
        yield f"{folder}/{kind}/{number}/properties", link_text(numa, row)


def _gpu_node(fleet: FleetSpec, share: Share, everyone: list[Share], taken: set[int]) -> Iterator[File]:
    folder, links = f"{KFD}/topology/nodes/{share.node}", gpu_links(fleet, share, everyone)
    newer, newest = fleet.kernel != "6.8", fleet.kernel == "7.x"
    keys = [*_COMMON, *(_NEWER if newer else []), *_GPU_ONLY, *(["capability2"] if newest else []), *_GPU_LAST]
    values = _properties(fleet, share) | {"io_links_count": len(links[0]), "p2p_links_count": len(links[1])}
    ident = gpu_id(share, taken)
    yield from _node(folder, f"{share.family.name}\n", f"{ident}\n", [*keys, "max_engine_clk_ccompute"], values)
    yield f"{folder}/mem_banks/0/properties", _bank(1, share.memory, share.family.bank_width, share.family.bank_clock)
    for kind, number, row in rows_of(links):
        yield f"{folder}/{kind}/{number}/properties", link_text(share.node, row)


def _properties(fleet: FleetSpec, share: Share) -> dict[str, int]:
    model, family, gpu = share.model, share.family, share.gpu
    units = model.compute_units // share.count
    sdma = family.sdma * share.xccs
    coherent = _COHERENT if cpu_joined(fleet, share) else 0
    return {
        **family.constants,
        "capability": family.constants["capability"] | coherent,
        "simd_count": units * family.simd_per_cu,
        "mem_banks_count": 1,
        "caches_count": units + 2 * family.cache_groups * share.xccs + family.shared_caches,
        "simd_id_base": share.simd_id_base,
        "array_count": family.arrays * share.xccs,
        "cu_per_simd_array": family.cu_per_array,
        "simd_per_cu": family.simd_per_cu,
        "max_slots_scratch_cu": 32,
        "gfx_target_version": family.target,
        "vendor_id": _AMD,
        "device_id": model.vf_id if gpu.virtual else model.device_id,
        "location_id": location_id(gpu.address, share.index if share.count > 1 else 0),
        "domain": gpu.address.domain,
        "drm_render_minor": share.drm.render,
        "hive_id": hive_id(share),
        "num_sdma_engines": min(2, sdma),
        "num_sdma_xgmi_engines": sdma - min(2, sdma),
        "cwsr_size": 22687744,
        "ctl_stack_size": 12288,
        "unique_id": unique_id(fleet, share),
        "num_xcc": share.xccs,
        "max_engine_clk_ccompute": fleet.cpu_clock,
        **gpu.kfd,
    }


def location_id(address: PciAddress, index: int) -> int:
    """Bus and devfn; of a GPU with several nodes the index of the partition is or-ed in."""
    return address.bus << 8 | address.device << 3 | address.function | index


def hive_id(share: Share) -> int:
    """The GPU's hive; of a GPU in none that is partitioned, its bus and devfn (kfd_device.c)."""
    address = share.gpu.address
    own = location_id(address, 0) if share.count > 1 else 0
    return share.gpu.hive or own


def unique_id(fleet: FleetSpec, share: Share) -> int:
    """The GPU's; on newer kernels, of a share, that of its first XCC, made up here from the GPU's and the index."""
    if fleet.kernel == "7.x" and share.count > 1:
        return share.gpu.unique_id ^ (share.index + 1) << 56
    return share.gpu.unique_id


def gpu_id(share: Share, taken: set[int]) -> int:
    """KFD's id of a node (kfd_topology.c kfd_generate_gpu_id): CRC16 of eight words, 0 avoided, next free taken."""
    address, model = share.gpu.address, share.model
    device = model.vf_id if share.gpu.virtual else model.device_id
    words = (
        address.device << 3 | address.function,
        _AMD | model.device_id << 16,
        address.domain,
        device,
        address.bus,
        share.memory & 0xFFFFFFFF,
        share.memory >> 32,
        share.index * share.xccs | share.xccs << 16,
    )
    ident = _crc16(struct.pack("<8I", *words)) or 1
    while ident in taken:
        ident = ident % 0xFFFF + 1
    taken.add(ident)
    return ident


def _crc16(data: bytes) -> int:
    """Linux crc16: polynomial 0x8005 reflected."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


def _node(folder: str, name: str, ident: str, keys: list[str], values: dict[str, int]) -> Iterator[File]:
    yield f"{folder}/name", name
    yield f"{folder}/gpu_id", ident
    yield f"{folder}/properties", "".join(f"{key} {values.get(key, 0)}\n" for key in keys)


def _bank(heap: int, size: int, width: int, clock: int) -> str:
    return f"heap_type {heap}\nsize_in_bytes {size}\nflags 0\nwidth {width}\nmem_clk_max {clock}\n"

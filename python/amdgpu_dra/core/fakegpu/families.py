"""What a fake tree shows of every GPU of one compiler target, and only a fake needs: KFD's constants, caches, engines.

Figures are those of captured nodes; of a target without a capture, those of the nearest one. A fleet's `kfd` field
overrides single properties for its board. Sources: kernel kfd_topology.c and kfd_crat.c.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """The GPUs of one target.

    Attributes:
        target: KFD's `gfx_target_version`; `name`: KFD's name of a node.
        arrays, cu_per_array: shader arrays of one XCC, and the most compute units of one.
        cache_groups: instruction (and scalar) caches of one XCC; `shared_caches`: those above them, of a node.
        sdma: engines of one XCC; of a partition's share at most two count as PCIe engines.
        bank_width, bank_clock: of the memory, in bits and MHz.
        xgmi: MB/s of one xGMI link.
        has_fru, has_unique_id: whether the PCI folder has `product_name` and `unique_id`.
        constants: KFD properties that are the same for all.
    """

    target: int
    arrays: int
    cu_per_array: int
    constants: Mapping[str, int] = field(default_factory=dict)
    name: str = "ip discovery"
    cache_groups: int = 20
    shared_caches: int = 2
    sdma: int = 2
    simd_per_cu: int = 4
    bank_width: int = 8192
    bank_clock: int = 1300
    xgmi: int = 64000
    pci_class: int = 0x120000
    pcie_speed: str = "32.0 GT/s PCIe"
    has_fru: bool = True
    has_unique_id: bool = True


def _constants(**changes: int) -> dict[str, int]:
    """The properties of an MI300X, with changes."""
    return {
        "max_waves_per_simd": 8,
        "lds_size_in_kb": 64,
        "num_gws": 64,
        "wave_front_size": 64,
        "simd_arrays_per_engine": 1,
        "num_sdma_queues_per_engine": 8,
        "num_cp_queues": 24,
        "max_engine_clk_fcompute": 2100,
        "fw_version": 177,
        "capability": 2893521536,
        "debug_prop": 1511,
        "sdma_fw_version": 24,
    } | changes


def _rdna(*, target: int, arrays: int, cu_per_array: int, clock: int, width: int, has_unique_id: bool = True) -> Family:
    return Family(
        target=target,
        arrays=arrays,
        cu_per_array=cu_per_array,
        cache_groups=arrays * cu_per_array // 2,
        shared_caches=arrays + 2,
        simd_per_cu=2,
        bank_width=width,
        bank_clock=1249,
        pci_class=0x030000,
        pcie_speed="16.0 GT/s PCIe",
        has_fru=False,
        constants=_constants(
            wave_front_size=32,
            max_waves_per_simd=16,
            simd_arrays_per_engine=2,
            num_sdma_queues_per_engine=6,
            num_cp_queues=8,
            max_engine_clk_fcompute=clock,
            fw_version=2140,
            capability=671588992,
            debug_prop=1495,
            sdma_fw_version=20,
        ),
        has_unique_id=has_unique_id,
    )


_MI200 = _constants(
    max_engine_clk_fcompute=1700, fw_version=92, capability=746037888, debug_prop=470, sdma_fw_version=9
)

FAMILIES = {
    "gfx908": Family(
        target=90008,
        name="arcturus",
        arrays=8,
        cu_per_array=16,
        cache_groups=64,
        shared_caches=1,
        sdma=8,
        bank_width=4096,
        bank_clock=1200,
        xgmi=50000,
        pci_class=0x038000,
        pcie_speed="16.0 GT/s PCIe",
        constants=_MI200 | {"max_engine_clk_fcompute": 1502},
    ),
    "gfx90a": Family(
        target=90010,
        name="aldebaran",
        arrays=8,
        cu_per_array=14,
        cache_groups=56,
        shared_caches=1,
        sdma=5,
        bank_width=4096,
        bank_clock=1600,
        xgmi=50000,
        pci_class=0x038000,
        pcie_speed="16.0 GT/s PCIe",
        constants=_MI200,
    ),
    "gfx942": Family(target=90402, arrays=4, cu_per_array=10, constants=_constants()),
    "gfx950": Family(
        target=90500,
        arrays=4,
        cu_per_array=9,
        cache_groups=18,
        bank_clock=2000,
        constants=_constants(
            lds_size_in_kb=160,
            num_cp_queues=30,
            max_engine_clk_fcompute=2200,
            fw_version=32810,
            capability=741843584,
            debug_prop=1494,
            sdma_fw_version=12,
        ),
    ),
    "gfx1030": _rdna(target=100300, arrays=8, cu_per_array=10, clock=2200, width=256),
    "gfx1100": _rdna(target=110000, arrays=12, cu_per_array=8, clock=2482, width=384),
    "gfx1101": _rdna(target=110001, arrays=6, cu_per_array=10, clock=2200, width=256),
    "gfx1151": _rdna(target=110501, arrays=4, cu_per_array=10, clock=2900, width=256, has_unique_id=False),
    "gfx1201": _rdna(target=120001, arrays=8, cu_per_array=8, clock=2970, width=256),
}

"""GPU models: what a fake tree needs and no other file states. Adding a model is one row here and one fleet.

Sources: kernel aqua_vanjaram.c (modes), kfd_topology.c (properties), and captures of real nodes.
"""

from dataclasses import dataclass

GIB = 1 << 30
# The driver keeps 16 MiB of each GPU to itself.
RESERVED = 16 << 20

# Compute mode -> partitions, or 0 for one per XCC.
PARTITIONS = {"SPX": 1, "DPX": 2, "TPX": 3, "QPX": 4, "CPX": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One row.

    Attributes:
        device_id: PCI id of the physical function; `vf_id` of its virtual functions.
        xccs, compute_units: of the whole GPU.
        memory: bytes of HBM or GDDR, before the driver's share.
        legal: memory mode -> compute modes; empty for GPUs without modes.
        arrays, cu_per_array: shader arrays of one XCC, and the most compute units of one.
        cache_groups: instruction (and scalar) caches of one XCC.
        sdma: engines of the whole GPU; of a partition's share at most two count as PCIe engines.
        constants: properties that KFD prints and that depend on the model alone.
    """

    name: str
    device_id: int
    gfx: int
    xccs: int
    compute_units: int
    memory: int
    legal: dict[str, tuple[str, ...]]
    arrays: int
    cu_per_array: int
    cache_groups: int
    sdma: int
    constants: dict[str, int]
    vf_id: int = 0
    pci_class: int = 0x120000
    revision: int = 0
    simd_per_cu: int = 4
    bank_width: int = 8192
    bank_clock: int = 1300
    product_name: str | None = None

    def partitions(self, mode: str | None) -> int:
        """How many partitions a compute mode makes; one where there are no modes."""
        return 1 if mode is None else PARTITIONS[mode] or self.xccs


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


_MI300X_MODES = {"NPS1": ("SPX", "DPX", "QPX", "CPX"), "NPS2": ("DPX",), "NPS4": ("QPX", "CPX")}
_MI350X_MODES = {"NPS1": ("SPX", "DPX", "QPX", "CPX"), "NPS2": ("DPX", "QPX", "CPX")}
_RDNA = {"wave_front_size": 32, "max_waves_per_simd": 16, "simd_arrays_per_engine": 2, "num_sdma_queues_per_engine": 6}


def _mi300x(name: str, device_id: int, vf_id: int, memory: int) -> Model:
    return Model(
        name=name,
        device_id=device_id,
        vf_id=vf_id,
        gfx=90402,
        xccs=8,
        compute_units=304,
        memory=memory,
        legal=_MI300X_MODES,
        arrays=4,
        cu_per_array=10,
        cache_groups=20,
        sdma=16,
        constants=_constants(),
        product_name=f"AMD Instinct {name} OAM",
    )


def _mi350x(name: str, device_id: int, vf_id: int) -> Model:
    return Model(
        name=name,
        device_id=device_id,
        vf_id=vf_id,
        gfx=90500,
        xccs=8,
        compute_units=256,
        memory=288 * GIB,
        legal=_MI350X_MODES,
        arrays=4,
        cu_per_array=9,
        cache_groups=18,
        sdma=16,
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
        product_name=f"AMD Instinct {name}",
    )


MODELS = {
    model.name: model
    for model in (
        _mi300x("MI300X", 0x74A1, 0x74B5, 192 * GIB),
        _mi300x("MI325X", 0x74A5, 0x74B9, 256 * GIB),
        Model(
            name="MI308X",
            device_id=0x74A2,
            vf_id=0x74B6,
            gfx=90402,
            xccs=4,
            compute_units=80,
            memory=192 * GIB,
            legal={"NPS1": ("SPX", "DPX", "CPX"), "NPS4": ("CPX",)},
            arrays=4,
            cu_per_array=10,
            cache_groups=12,
            sdma=8,
            constants=_constants(
                max_engine_clk_fcompute=1420, fw_version=149, capability=746037888, sdma_fw_version=19
            ),
            product_name="AMD Instinct MI308X",
        ),
        _mi350x("MI350X", 0x75A0, 0x75B0),
        _mi350x("MI355X", 0x75A3, 0x75B3),
        Model(
            name="MI210",
            device_id=0x740F,
            vf_id=0x7410,
            gfx=90010,
            xccs=1,
            compute_units=104,
            memory=64 * GIB,
            legal={},
            arrays=8,
            cu_per_array=14,
            cache_groups=56,
            sdma=5,
            pci_class=0x038000,
            revision=2,
            bank_width=4096,
            bank_clock=1600,
            constants=_constants(
                max_engine_clk_fcompute=1700, fw_version=92, capability=746037888, debug_prop=470, sdma_fw_version=9
            ),
            product_name="AMD Instinct MI210",
        ),
        Model(
            name="RX7900XTX",
            device_id=0x744C,
            gfx=110000,
            xccs=1,
            compute_units=96,
            memory=24 * GIB,
            legal={},
            arrays=12,
            cu_per_array=8,
            cache_groups=55,
            sdma=2,
            pci_class=0x030000,
            revision=0xC8,
            simd_per_cu=2,
            bank_width=384,
            bank_clock=1249,
            constants=_constants(
                max_engine_clk_fcompute=2482,
                num_cp_queues=8,
                fw_version=2140,
                capability=671588992,
                debug_prop=1495,
                sdma_fw_version=20,
                **_RDNA,
            ),
        ),
    )
}

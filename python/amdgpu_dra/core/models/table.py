"""The table. Adding a model is one row here and one fleet (docs/howto/add-a-gpu-model.md).

Sources: libdrm's amdgpu.ids and AMD's chip lists (ids, names), AMD's data sheets (sizes), kernel (modes, see modes.py).
"""

from dataclasses import dataclass

from amdgpu_dra.core.models.modes import legal_modes, partition_count

_GIB = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One row. Sizes are for planning and for fakes; of a real GPU sysfs states them.

    Attributes:
        name: short, without the vendor: `MI300X`.
        product: the vendor's name in full, as a board's own memory states it.
        device_id: PCI id of the physical function; `vf_id` of its virtual functions, 0 if it has none.
        revision: PCI revision. `by_revision`: other products have the same id and another revision.
        gfx: compiler target.
        xccs, compute_units: of the whole GPU.
        memory: bytes of its own memory before the driver's share; 0 on an APU, which uses the host's.
        memory_modes: what hardware and firmware offer; empty for GPUs without modes.
    """

    name: str
    product: str
    device_id: int
    gfx: str
    compute_units: int
    memory: int
    vf_id: int = 0
    revision: int = 0
    by_revision: bool = False
    xccs: int = 1
    memory_modes: tuple[str, ...] = ()

    @property
    def is_apu(self) -> bool:
        """Whether it has no memory of its own."""
        return self.memory == 0

    @property
    def legal(self) -> dict[str, tuple[str, ...]]:
        """Memory mode -> compute modes that the kernel accepts with it; empty for GPUs without modes."""
        return {mode: legal_modes(self.gfx, self.xccs, mode, apu=self.is_apu) for mode in self.memory_modes}

    def partitions(self, mode: str | None) -> int:
        """How many partitions a compute mode makes; one where there are no modes."""
        return partition_count(mode, self.xccs)


def _mi200(name: str, device_id: int, compute_units: int, *, revision: int, vf_id: int = 0) -> Model:
    """One GCD; an MI250 or MI250X is two PCI functions."""
    return Model(
        name=name,
        product=f"AMD Instinct {name}",
        device_id=device_id,
        vf_id=vf_id,
        revision=revision,
        gfx="gfx90a",
        compute_units=compute_units,
        memory=64 * _GIB,
    )


def _mi300(name: str, device_id: int, vf_id: int, *, gib: int = 192, xccs: int = 8, compute_units: int = 304) -> Model:
    return Model(
        name=name,
        product=f"AMD Instinct {name} OAM",
        device_id=device_id,
        vf_id=vf_id,
        gfx="gfx942",
        xccs=xccs,
        compute_units=compute_units,
        memory=gib * _GIB,
        memory_modes=("NPS1", "NPS2", "NPS4") if xccs == 8 else ("NPS1", "NPS4"),  # noqa: PLR2004
    )


def _mi350(name: str, device_id: int, vf_id: int) -> Model:
    return Model(
        name=name,
        product=f"AMD Instinct {name}",
        device_id=device_id,
        vf_id=vf_id,
        gfx="gfx950",
        xccs=8,
        compute_units=256,
        memory=288 * _GIB,
        memory_modes=("NPS1", "NPS2"),
    )


_ROWS = (
    Model(
        name="MI100",
        product="AMD Instinct MI100",
        device_id=0x738C,
        revision=1,
        gfx="gfx908",
        compute_units=120,
        memory=32 * _GIB,
    ),
    _mi200("MI210", 0x740F, 104, revision=2, vf_id=0x7410),
    _mi200("MI250", 0x740C, 104, revision=1),
    _mi200("MI250X", 0x7408, 110, revision=0),
    Model(
        name="MI300A",
        product="AMD Instinct MI300A",
        device_id=0x74A0,
        vf_id=0x74B4,
        gfx="gfx942",
        xccs=6,
        compute_units=228,
        memory=0,
        memory_modes=("NPS1",),
    ),
    _mi300("MI300X", 0x74A1, 0x74B5),
    _mi300("MI300X-HF", 0x74A9, 0x74BD),
    _mi300("MI308X", 0x74A2, 0x74B6, xccs=4, compute_units=80),
    _mi300("MI308X-HF", 0x74A8, 0x74BC, xccs=4, compute_units=80),
    _mi300("MI325X", 0x74A5, 0x74B9, gib=256),
    _mi350("MI350X", 0x75A0, 0x75B0),
    _mi350("MI355X", 0x75A3, 0x75B3),
    Model(
        name="V620",
        product="AMD Radeon Pro V620",
        device_id=0x73A1,
        vf_id=0x73AE,
        gfx="gfx1030",
        compute_units=72,
        memory=32 * _GIB,
    ),
    Model(
        name="V710",
        product="AMD Radeon Pro V710",
        device_id=0x7460,
        vf_id=0x7461,
        gfx="gfx1101",
        compute_units=54,
        memory=28 * _GIB,
    ),
    Model(
        name="W7900",
        product="AMD Radeon Pro W7900",
        device_id=0x7448,
        gfx="gfx1100",
        compute_units=96,
        memory=48 * _GIB,
    ),
    Model(
        name="RX7900XTX",
        product="AMD Radeon RX 7900 XTX",
        device_id=0x744C,
        revision=0xC8,
        by_revision=True,
        gfx="gfx1100",
        compute_units=96,
        memory=24 * _GIB,
    ),
    Model(
        name="RX9070XT",
        product="AMD Radeon RX 9070 XT",
        device_id=0x7550,
        revision=0xC0,
        by_revision=True,
        gfx="gfx1201",
        compute_units=64,
        memory=16 * _GIB,
    ),
    Model(
        name="StrixHalo",
        product="AMD Radeon 8060S Graphics",
        device_id=0x1586,
        revision=0xC1,
        gfx="gfx1151",
        compute_units=40,
        memory=0,
    ),
)

MODELS = {row.name: row for row in _ROWS}


def find_model(device_id: str | None, revision: str | None) -> Model | None:
    """The row of a PCI device id as sysfs writes it (`0x74a1`), of a physical or virtual function; None without one."""
    if device_id is None:
        return None
    number = int(device_id, 16)
    rows = [row for row in _ROWS if number in (row.device_id, row.vf_id or row.device_id)]
    exact = [row for row in rows if revision is not None and int(revision, 16) == row.revision]
    return next(iter(exact or [row for row in rows if not row.by_revision]), None)

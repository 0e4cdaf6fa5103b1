"""Fleets of every model and legal mode."""

from hypothesis import strategies as st

from amdgpu_dra.core.fakegpu import FleetSpec, GpuSpec, NumaNode, OtherCard
from amdgpu_dra.core.gpu import PciAddress
from amdgpu_dra.core.models import MODELS

_FIRST_HIVE = 1 << 32
_OTHERS = (
    OtherCard(address=PciAddress(4, 0, 2), vendor=0x1AF4, device=0x1050, driver="virtio-pci", pcie_root="pci0004:00"),
    OtherCard(
        address=PciAddress(4, 1, 0),
        vendor=0x10DE,
        device=0x2330,
        driver="nvidia",
        pcie_root="pci0004:01",
        version="580.65.06",
    ),
    OtherCard(
        address=PciAddress(4, 2, 0), vendor=0x1002, device=0x74A1, driver="vfio-pci", pcie_root="pci0004:02", drm=False
    ),
)


@st.composite
def fleets(draw: st.DrawFn, *, most: int = 4) -> FleetSpec:
    """A node with up to `most` GPUs of any models, modes, places and kernels, and cards of others."""
    slots = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 255)), max_size=most, unique=True))
    numa = draw(st.integers(1, 2))
    hive = draw(st.integers(_FIRST_HIVE, 2**64 - 1))
    return FleetSpec(
        name="drawn",
        gpus=tuple(draw(_gpu(PciAddress(domain, bus, 0), numa, hive)) for domain, bus in sorted(slots)),
        numa=tuple(NumaNode(cores=8 * (n + 1), memory=draw(st.integers(1 << 34, 1 << 41))) for n in range(numa)),
        cpu=draw(st.sampled_from(["amd", "intel"])),
        cpu_links=draw(st.sampled_from(["pcie", "xgmi"])),
        kernel=draw(st.sampled_from(["6.8", "6.12", "7.x"])),
        board_vga=draw(st.booleans()),
        others=tuple(draw(st.lists(st.sampled_from(_OTHERS), unique_by=lambda card: card.driver))),
        driver_version=draw(st.sampled_from([None, "6.12.12", "6.19.14.31400000"])),
        kfd_major=draw(st.integers(200, 511)),
        cpu_clock=draw(st.integers(0, 6000)),
    )


@st.composite
def _gpu(draw: st.DrawFn, address: PciAddress, numa: int, hive: int) -> GpuSpec:
    model = MODELS[draw(st.sampled_from(sorted(MODELS)))]
    memory = draw(st.sampled_from(sorted(model.legal))) if model.legal else None
    compute = draw(st.sampled_from(model.legal[memory])) if memory else None
    own = st.integers(1 << 28, model.memory or 1 << 33)
    return GpuSpec(
        address=address,
        model=model.name,
        numa=draw(st.integers(0, numa - 1)),
        pcie_root=f"pci{address.domain:04x}:{address.bus - 1:02x}",
        unique_id=draw(st.integers(1, 2**55)),
        compute=compute,
        memory=memory,
        hive=draw(st.sampled_from([0, hive])),
        virtual=bool(model.vf_id) and compute in (None, "SPX") and draw(st.booleans()),
        vram=draw(st.none() | own) if compute in (None, "SPX") and model.name != "MI300A" else None,
    )

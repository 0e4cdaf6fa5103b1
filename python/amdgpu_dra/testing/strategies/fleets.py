"""Fleets of every model and legal mode."""

from hypothesis import strategies as st

from amdgpu_dra.core.fakegpu import MODELS, FleetSpec, GpuSpec, NumaNode
from amdgpu_dra.core.gpu import PciAddress


@st.composite
def fleets(draw: st.DrawFn, *, most: int = 4) -> FleetSpec:
    """A node with up to `most` GPUs of any models, modes, places and kernels."""
    slots = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 255)), max_size=most, unique=True))
    numa = draw(st.integers(1, 2))
    hive = draw(st.integers(0, 2**64 - 1))
    return FleetSpec(
        name="drawn",
        gpus=tuple(draw(_gpu(PciAddress(domain, bus, 0), numa, hive)) for domain, bus in sorted(slots)),
        numa=tuple(NumaNode(cores=8 * (n + 1), memory=1 << 34) for n in range(numa)),
        cpu=draw(st.sampled_from(["amd", "intel"])),
        kernel=draw(st.sampled_from(["6.8", "6.12", "7.x"])),
        board_vga=draw(st.booleans()),
        other_cards=draw(st.integers(0, 2)),
        driver_version=draw(st.sampled_from([None, "6.12.12", "6.19.14.31400000"])),
        kfd_major=draw(st.integers(200, 511)),
    )


@st.composite
def _gpu(draw: st.DrawFn, address: PciAddress, numa: int, hive: int) -> GpuSpec:
    model = MODELS[draw(st.sampled_from(sorted(MODELS)))]
    memory = draw(st.sampled_from(sorted(model.legal))) if model.legal else None
    compute = draw(st.sampled_from(model.legal[memory])) if memory else None
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
    )

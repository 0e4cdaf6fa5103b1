"""Memory of partitions against figures that were recorded or published, kept as data apart from the arithmetic."""

import pytest

from amdgpu_dra.core.fakegpu import FleetSpec, GpuSpec, NumaNode, render
from amdgpu_dra.core.gpu import PciAddress, parse

# model, compute mode, memory mode -> bytes of each partition, the last ones where they differ
RECORDED = {
    ("MI300X", "SPX", "NPS1"): [206141652992],
    ("MI300X", "DPX", "NPS1"): [103070826496] * 2,
    ("MI300X", "DPX", "NPS2"): [103079215104, 103062437888],
    ("MI300X", "QPX", "NPS1"): [51535413248] * 4,
    ("MI300X", "QPX", "NPS4"): [51539607552] * 3 + [51522830336],
    ("MI300X", "CPX", "NPS1"): [25767706624] * 8,
    ("MI300X", "CPX", "NPS4"): [25769803776] * 6 + [25761415168] * 2,
    ("MI308X", "SPX", "NPS1"): [206141652992],
    ("MI308X", "DPX", "NPS1"): [103070826496] * 2,
    ("MI308X", "CPX", "NPS1"): [51535413248] * 4,
    ("MI308X", "CPX", "NPS4"): [51539607552] * 3 + [51522830336],
    ("MI325X", "SPX", "NPS1"): [274861129728],
    ("MI325X", "DPX", "NPS1"): [137430564864] * 2,
    ("MI325X", "QPX", "NPS1"): [68715282432] * 4,
    ("MI325X", "CPX", "NPS1"): [34357641216] * 8,
    ("MI325X", "CPX", "NPS4"): [34359738368] * 6 + [34351349760] * 2,
    ("MI350X", "SPX", "NPS1"): [309220868096],
    ("MI350X", "DPX", "NPS1"): [154610434048] * 2,
    ("MI350X", "QPX", "NPS1"): [77305217024] * 4,
    ("MI350X", "CPX", "NPS1"): [38652608512] * 8,
    ("MI350X", "DPX", "NPS2"): [154618822656, 154602045440],
    ("MI350X", "CPX", "NPS2"): [38654705664] * 4 + [38650511360] * 4,
    ("MI210", None, None): [68702699520],
    ("RX7900XTX", None, None): [25753026560],
}


@pytest.mark.parametrize("key", RECORDED, ids=lambda key: "-".join(str(part) for part in key))
def test_partitions_have_the_recorded_memory(key: tuple[str, str | None, str | None]) -> None:
    """Each partition of each mode has the bytes that real nodes and documents state."""
    model, compute, memory = key
    gpu = GpuSpec(
        address=PciAddress(0, 5, 0),
        model=model,
        numa=0,
        pcie_root="pci0000:04",
        unique_id=1,
        compute=compute,
        memory=memory,
    )
    tree = render(FleetSpec(name="one", gpus=(gpu,), numa=(NumaNode(cores=1, memory=1),)))

    assert RECORDED[key] == [part.memory for part in parse(tree).gpus[0].partitions]

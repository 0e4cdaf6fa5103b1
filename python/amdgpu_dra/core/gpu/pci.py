"""The PCI folders of GPUs that amdgpu drives."""

import re
from dataclasses import dataclass

from amdgpu_dra.core.gpu import paths
from amdgpu_dra.core.gpu.fields import Reader, decimal, hexadecimal_id, mode, modes, positive
from amdgpu_dra.core.gpu.inventory import PciAddress

_AMD = "0x1002"
_ROOT = re.compile(r"pci[0-9a-f]{4,8}:[0-9a-f]{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PciFacts:
    """What the PCI folder of a GPU says; see `Gpu` for the fields."""

    found: bool = False
    vendor_id: str | None = None
    device_id: str | None = None
    revision: str | None = None
    product_name: str | None = None
    unique_id: str | None = None
    numa_node: int | None = None
    pcie_root: str | None = None
    link_speed: str | None = None
    link_width: int | None = None
    vram: int | None = None
    compute_mode: str | None = None
    memory_mode: str | None = None
    compute_modes: tuple[str, ...] = ()
    memory_modes: tuple[str, ...] = ()
    mode_writable: bool = False
    per_gpu_config: bool = False
    memory_alloc_mode: str | None = None


def parse_pci(reader: Reader) -> dict[PciAddress, PciFacts]:
    """The functions bound to amdgpu, by address. One that is not AMD's costs itself, with a problem."""
    found = {}
    for name in sorted(reader.tree.children(paths.AMDGPU_DRIVER)):
        address = PciAddress.find(name)
        if address is None:
            continue
        folder = f"{paths.PCI_DEVICES}/{name}"
        vendor = reader.find(f"{folder}/vendor", f"GPU {name}", hexadecimal_id)
        if vendor is not None and vendor != _AMD:
            reader.note(f"{folder}/vendor", f"expected {_AMD} for a device of amdgpu, found {vendor}", f"GPU {name}")
            continue
        found[address] = _facts(reader, folder, name, vendor)
    return found


def _facts(reader: Reader, folder: str, name: str, vendor: str | None) -> PciFacts:
    def costs(attribute: str) -> str:
        return f"{attribute} of GPU {name}"

    numa = reader.find(f"{folder}/numa_node", costs("numaNode"), _numa_node)
    return PciFacts(
        found=paths.PCI_DEVICES + "/" + name in reader.tree.links or vendor is not None,
        vendor_id=vendor,
        device_id=reader.find(f"{folder}/device", costs("deviceID"), hexadecimal_id),
        revision=reader.find(f"{folder}/revision", costs("revision"), hexadecimal_id),
        product_name=reader.find_text(f"{folder}/product_name", costs("productName")),
        unique_id=reader.find(f"{folder}/unique_id", costs("uniqueID"), _unique_id),
        numa_node=numa if numa is not None and numa >= 0 else None,
        pcie_root=_pcie_root(reader.tree.find_target(folder)),
        link_speed=reader.find_text(f"{folder}/current_link_speed", costs("pcieLinkSpeed")),
        link_width=reader.find(f"{folder}/current_link_width", costs("pcieLinkWidth"), positive),
        vram=reader.find(f"{folder}/mem_info_vram_total", costs("memory"), positive),
        compute_mode=reader.find(f"{folder}/{paths.COMPUTE_MODE}", costs("partitionProfile"), mode),
        memory_mode=reader.find(f"{folder}/{paths.MEMORY_MODE}", costs("partitionProfile"), mode),
        compute_modes=reader.find(f"{folder}/available_compute_partition", costs("compute modes"), modes) or (),
        memory_modes=reader.find(f"{folder}/available_memory_partition", costs("memory modes"), modes) or (),
        mode_writable=reader.tree.is_writable(f"{folder}/{paths.COMPUTE_MODE}"),
        per_gpu_config=reader.tree.find(f"{folder}/{paths.PER_GPU_CONFIG}") is not None,
        memory_alloc_mode=reader.find(
            f"{folder}/compute_partition_mem_alloc_mode", costs("memory of its other modes"), mode
        ),
    )


def _numa_node(text: str) -> int:
    """A NUMA node; -1 is the kernel's word for none."""
    value = decimal(text)
    if not -1 <= value < 1 << 16:
        raise ValueError("expected a NUMA node, or -1 for none")
    return value


def _unique_id(text: str) -> str:
    """Sixteen hexadecimal digits."""
    if len(text) != 16 or not set(text) <= set("0123456789abcdef"):  # noqa: PLR2004
        raise ValueError("expected 16 hexadecimal digits")
    return text


def _pcie_root(target: str | None) -> str | None:
    """The first `pci<domain>:<bus>` of the real path (KEP-4381, deviceattribute.GetPCIeRootAttribute)."""
    return next((part for part in (target or "").split("/") if _ROOT.fullmatch(part)), None)

"""A node's GPUs as a value: what a fake tree is rendered from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from amdgpu_dra.core.gpu import PciAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class NumaNode:
    """A CPU node of KFD: cores, APIC id of the first, bytes of memory, and what SMBIOS says of the first bank."""

    cores: int
    memory: int
    core_id_base: int = 0
    width: int = 0
    clock: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSpec:
    """One GPU.

    Attributes:
        model: a name of the model table.
        compute, memory: its modes, None for a model without modes.
        virtual: a virtual function: no FRU files, modes that cannot be written.
        hive: xGMI hive id, 0 for none.
        vram: bytes where it is not the model's memory less the driver's share; of an APU, what firmware carved out.
        kfd: properties that KFD shows otherwise than the model's family has them, such as `fw_version`.
    """

    address: PciAddress
    model: str
    numa: int
    pcie_root: str
    unique_id: int
    compute: str | None = None
    memory: str | None = None
    hive: int = 0
    virtual: bool = False
    vram: int | None = None
    kfd: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherCard:
    """A graphics card that amdgpu does not drive: another vendor's, or one that is given to virtual machines.

    Attributes:
        driver: its kernel driver; `version` is what that driver's module states.
        drm: whether it has a card and a render node.
    """

    address: PciAddress
    vendor: int
    device: int
    driver: str
    pcie_root: str
    version: str | None = None
    numa: int = 0
    drm: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A file that is not as it should be: `text` instead of its own, or an errno, or (neither) gone."""

    path: str
    text: str | None = None
    errno: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSpec:
    """One node.

    Attributes:
        gpus: in the order in which the driver finds them.
        cpu: `amd` or `intel`: type and weight of CPU links.
        cpu_links: what joins GPUs to their CPU: `pcie`, or `xgmi` on hosts built so; an MI300A has its own.
        kernel: `6.8` (amdgpu_xcp.0, fewer properties), `6.12`, `7.x` (unique ids of XCCs, more files).
        board_vga: a card of the board's management controller comes first and takes `card0`.
        driver_version: text of amdgpu's module, None for a kernel's own driver.
        others: cards of others; their DRM devices come before those of our GPUs.
        kfd_major: of `/dev/kfd`, which the kernel chooses at every boot.
        faults: applied to the rendered tree, last.
    """

    name: str
    gpus: tuple[GpuSpec, ...]
    numa: tuple[NumaNode, ...]
    cpu: str = "amd"
    cpu_links: str = "pcie"
    kernel: str = "6.12"
    board_vga: bool = False
    others: tuple[OtherCard, ...] = ()
    driver_version: str | None = "6.12.12"
    kfd_major: int = 235
    pcie_bandwidth: int = 64000
    cpu_clock: int = 2400
    faults: tuple[Fault, ...] = ()

    @property
    def other_cards(self) -> int:
        """DRM devices that come before those of our GPUs, each with a card and a render node."""
        return sum(card.drm for card in self.others)

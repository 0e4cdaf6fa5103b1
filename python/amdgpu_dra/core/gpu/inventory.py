"""What a node has: GPUs, their partitions, and what is wrong with them. Unknown is None, never zero."""

import re
from dataclasses import dataclass
from typing import Self

_ADDRESS = re.compile(r"([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])")


@dataclass(frozen=True, slots=True, order=True)
class PciAddress:
    """Domain, bus, device and function; ordered as the kernel orders them, written `0000:05:00.0`."""

    domain: int
    bus: int
    device: int
    function: int = 0

    def __str__(self) -> str:
        return f"{self.domain:04x}:{self.bus:02x}:{self.device:02x}.{self.function:x}"

    @classmethod
    def find(cls, text: str) -> Self | None:
        """The address that `text` writes, or None if it writes none."""
        match = _ADDRESS.fullmatch(text)
        return cls(*(int(part, 16) for part in match.groups())) if match else None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceNode:
    """A character device: path below the device root (`dri/renderD128`), major and minor."""

    path: str
    major: int
    minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A file that could not be used, why, and which attribute or device it costs.

    `errno` is the name of the error (`EIO`) if it is there and reading it failed, else empty.
    """

    path: str
    reason: str
    costs: str
    errno: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A KFD link of a partition: to a NUMA node, or to a partition of the same or another GPU.

    Attributes:
        kind: `xgmi`, `pcie`, or the number that KFD gives for another type.
        weight: KFD's distance.
        direct: from `io_links`; False for `p2p_links`.
        numa_node: the CPU side, or None.
        peer: GPU and partition index of the other side, or None.
    """

    kind: str
    weight: int
    direct: bool
    numa_node: int | None = None
    peer: tuple[PciAddress, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """One share of a GPU under its compute mode; in SPX mode, or on a GPU without modes, the whole GPU.

    Attributes:
        gpu: address of the GPU it belongs to.
        index: 0 … count-1, from KFD's location, never from the order of nodes.
        memory: bytes of its KFD memory bank: what the kernel lets it use.
        unified_memory: that memory is the host's: an APU's.
        compute_units, simd_units, xccs: as KFD counts them for this partition.
        gfx_target: `gfx942`.
        unique_id: KFD's, which on newer kernels differs between the partitions of one GPU.
        gpu_id: KFD's, under which it lists processes. It changes with every mode and is never an identity.
        render, card: its DRM nodes. Without a render node it cannot be used.
        links: only as many as were read; the fast reading has the first of each.
    """

    gpu: PciAddress
    index: int
    memory: int | None = None
    unified_memory: bool = False
    compute_units: int | None = None
    simd_units: int | None = None
    xccs: int | None = None
    gfx_target: str | None = None
    unique_id: int | None = None
    gpu_id: int | None = None
    render: DeviceNode | None = None
    card: DeviceNode | None = None
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One AMD PCI function under amdgpu.

    Attributes:
        compute_mode, memory_mode: upper case as the kernel writes them, None where it has no such file or cannot say.
        compute_modes, memory_modes: what the kernel offers now, in its order; empty if it offers none.
        vram: bytes of its own memory, 0 on an APU that has none; the driver's view, which partitions do not divide.
        hive_id: of its xGMI hive; None if it is in none.
        mode_writable: its compute mode can be set: the file has a write bit.
        per_gpu_config: it has the folder `compute_partition_config`, as kernels do that switch one GPU beside others.
        memory_alloc_mode: CAPPING (partitions of a memory range divide it) or ALL (each may use all of it).
        has_pci: its PCI folder was found. Without it the GPU is inventoried but cannot be published.
        partitions: by index; more or fewer than the mode promises if KFD shows more or fewer.
    """

    address: PciAddress
    vendor_id: str | None = None
    device_id: str | None = None
    revision: str | None = None
    product_name: str | None = None
    unique_id: str | None = None
    numa_node: int | None = None
    pcie_root: str | None = None
    pcie_link_speed: str | None = None
    pcie_link_width: int | None = None
    vram: int | None = None
    hive_id: int | None = None
    compute_mode: str | None = None
    memory_mode: str | None = None
    compute_modes: tuple[str, ...] = ()
    memory_modes: tuple[str, ...] = ()
    mode_writable: bool = False
    per_gpu_config: bool = False
    memory_alloc_mode: str | None = None
    has_pci: bool = False
    partitions: tuple[Partition, ...] = ()

    @property
    def is_partitioned(self) -> bool:
        """Whether its partitions are shares of it: another mode than SPX, or more than one partition."""
        return self.compute_mode not in (None, "SPX") or len(self.partitions) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """All GPUs of a node by address, `/dev/kfd`, the version of amdgpu as its module states it, and every problem.

    `xcp_nodes` is the number of render nodes that the kernel made for partitions other than the first of each GPU.
    """

    gpus: tuple[Gpu, ...] = ()
    kfd: DeviceNode | None = None
    driver_version: str | None = None
    driver_loaded: bool = False
    generation: int | None = None
    xcp_nodes: int = 0
    problems: tuple[Problem, ...] = ()

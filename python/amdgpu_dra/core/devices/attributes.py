"""The attributes and capacities of a device, as one table. Unknown is absent, never zero.

Names and types of the first rows are those of AMD's own driver; the `resource.kubernetes.io` ones are Kubernetes'
(deviceattribute, KEP-4381 and KEP-6072).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from amdgpu_dra.api.resource import AttributeValue, Device, Version
from amdgpu_dra.core.devices.device import NodeDevice
from amdgpu_dra.core.models import find_model

_SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", re.ASCII)
LONGEST_TEXT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """A row: name, type for the docs, an example, what it means, and how it is read; None where it is not known.

    `always`: every device has it, so that a selector may read it without asking first whether it is there.
    """

    name: str
    kind: str
    example: str
    doc: str
    read: Callable[[NodeDevice], AttributeValue | None]
    always: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """A row of the capacities."""

    name: str
    example: str
    doc: str
    read: Callable[[NodeDevice], int | None]


def _product(device: NodeDevice) -> str | None:
    name = device.gpu.product_name
    return name.replace(" ", "_").replace("(", "").replace(")", "") if name else None


def _model(device: NodeDevice) -> str | None:
    row = find_model(device.gpu.device_id, device.gpu.revision)
    return row.name if row else None


def _version(device: NodeDevice) -> Version | None:
    """The first three parts, if they are a semantic version."""
    match = _SEMVER.match(device.driver_version or "")
    return Version(match[0]) if match and len(match[0]) <= LONGEST_TEXT else None


def _profile(device: NodeDevice) -> str | None:
    compute, memory = device.mode, device.gpu.memory_mode
    return f"{compute}_{memory}".lower() if compute and memory else None


def _hive(device: NodeDevice) -> str | None:
    return f"{device.gpu.hive_id:016x}" if device.gpu.hive_id else None


ATTRIBUTES = (
    Attribute(
        name="type",
        kind="string",
        example="amdgpu",
        doc="`amdgpu` for a whole GPU, `amdgpu-partition` for a partition",
        read=lambda d: "amdgpu" if d.is_whole else "amdgpu-partition",
        always=True,
    ),
    Attribute(
        name="productName",
        kind="string",
        example="AMD_Instinct_MI300X_OAM",
        doc="the board's name, spaces as `_`, without parentheses; absent on boards and virtual functions without one",
        read=_product,
    ),
    Attribute(
        name="model",
        kind="string",
        example="MI300X",
        doc="short name by PCI id, on virtual functions too; absent for models that the driver does not know by name",
        read=_model,
    ),
    Attribute(name="deviceID", kind="string", example="0x74a1", doc="PCI device id", read=lambda d: d.gpu.device_id),
    Attribute(
        name="driverVersion",
        kind="version",
        example="6.12.12",
        doc="the first three parts of amdgpu's version; absent where its module states none",
        read=_version,
    ),
    Attribute(
        name="driverVersionFull",
        kind="string",
        example="6.19.14.31400000",
        doc="amdgpu's version as its module states it",
        read=lambda d: d.driver_version,
    ),
    Attribute(
        name="partitionProfile",
        kind="string",
        example="cpx_nps1",
        doc="compute and memory mode; absent on GPUs without modes",
        read=_profile,
    ),
    Attribute(
        name="computePartition",
        kind="string",
        example="cpx",
        doc="compute mode in which the device exists; absent on GPUs without modes",
        read=lambda d: d.mode.lower() if d.mode else None,
    ),
    Attribute(
        name="memoryPartition",
        kind="string",
        example="nps1",
        doc="memory mode; absent on GPUs without modes",
        read=lambda d: d.gpu.memory_mode.lower() if d.gpu.memory_mode else None,
    ),
    Attribute(
        name="numaNode",
        kind="int",
        example="0",
        doc="NUMA node of the GPU; absent where the machine names none",
        read=lambda d: d.gpu.numa_node,
    ),
    Attribute(
        name="resource.kubernetes.io/numaNode",
        kind="int",
        example="0",
        doc="the same under Kubernetes' common name, for constraints over several drivers",
        read=lambda d: d.gpu.numa_node,
    ),
    Attribute(
        name="resource.kubernetes.io/pciBusID",
        kind="string",
        example="0000:05:00.0",
        doc="PCI address of the GPU; the same for all its partitions",
        read=lambda d: str(d.gpu.address),
        always=True,
    ),
    Attribute(
        name="parentPciBusID",
        kind="string",
        example="0000:05:00.0",
        doc="the GPU that the device is cut from, on whole GPUs the GPU itself: for constraints over partitions",
        read=lambda d: str(d.gpu.address),
        always=True,
    ),
    Attribute(
        name="resource.kubernetes.io/pcieRoot",
        kind="string",
        example="pci0000:00",
        doc="PCIe root complex above the GPU",
        read=lambda d: d.gpu.pcie_root,
    ),
    Attribute(
        name="gfxTarget",
        kind="string",
        example="gfx942",
        doc="compiler target of the GPU",
        read=lambda d: d.partition.gfx_target,
    ),
    Attribute(
        name="uniqueID",
        kind="string",
        example="2d9fceb799029742",
        doc="the GPU's unique id, the same for all its partitions",
        read=lambda d: d.gpu.unique_id,
    ),
    Attribute(
        name="xgmiHive",
        kind="string",
        example="d2c8bab86b9f1c37",
        doc="xGMI hive; GPUs of one hive are linked directly",
        read=_hive,
    ),
    Attribute(
        name="xccCount",
        kind="int",
        example="8",
        doc="accelerator complex dies of the device",
        read=lambda d: d.partition.xccs,
    ),
    Attribute(
        name="partitionIndex",
        kind="int",
        example="3",
        doc="index of the partition in its GPU; absent on whole GPUs",
        read=lambda d: None if d.is_whole else d.partition.index,
    ),
    Attribute(
        name="pcieLinkWidth",
        kind="int",
        example="16",
        doc="lanes of the PCIe link now",
        read=lambda d: d.gpu.pcie_link_width,
    ),
    Attribute(
        name="pcieLinkSpeed",
        kind="string",
        example="32.0 GT/s PCIe",
        doc="speed of the PCIe link now",
        read=lambda d: d.gpu.pcie_link_speed,
    ),
    Attribute(
        name="unifiedMemory",
        kind="bool",
        example="true",
        doc="true where the memory is the host's, as on APUs; absent otherwise",
        read=lambda d: True if d.partition.unified_memory else None,
    ),
)

CAPACITIES = (
    Capacity(
        name="memory",
        example="196592Mi",
        doc="bytes that the kernel lets the device use; on an APU of the host's memory",
        read=lambda d: d.partition.memory,
    ),
    Capacity(
        name="computeUnits", example="304", doc="compute units of the device", read=lambda d: d.partition.compute_units
    ),
    Capacity(name="simdUnits", example="1216", doc="SIMDs of the device", read=lambda d: d.partition.simd_units),
)


def describe(device: NodeDevice) -> tuple[Device, tuple[str, ...]]:
    """The device as it is published, and the attributes that are left out because no API server would take them."""
    attributes: dict[str, AttributeValue] = {}
    refused = []
    for row in ATTRIBUTES:
        value = row.read(device)
        if value is None:
            continue
        if isinstance(value, str) and not _publishable(value):
            refused.append(row.name)
        else:
            attributes[row.name] = value
    capacity = {row.name: Fraction(value) for row in CAPACITIES if (value := row.read(device)) is not None}
    described = Device(
        name=device.published,
        attributes=attributes,
        capacity=capacity,
        consumes_counters=device.consumes,
        taints=device.taints,
    )
    return described, tuple(refused)


def _publishable(text: str) -> bool:
    """At most 64 bytes of text, and not empty."""
    return 0 < len(text.encode()) <= LONGEST_TEXT and text.isprintable()

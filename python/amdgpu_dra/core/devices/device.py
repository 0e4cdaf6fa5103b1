"""What a node offers to Kubernetes, as values: devices, what is withheld, and the layout that was asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from amdgpu_dra.api.resource import CounterConsumption, CounterSet, Taint
from amdgpu_dra.core.devices.names import PCI_NAMES, WHOLE
from amdgpu_dra.core.gpu import DeviceNode, Gpu, Partition, PciAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDevice:
    """A device that can be handed out: one that exists now, or a partition of another mode of its GPU.

    Attributes:
        partition: as KFD shows it; planned (without DRM nodes) if the device is not current.
        nodes: device nodes that a container needs, `/dev/kfd` first.
        driver_version: of the node's amdgpu.
        mode: compute mode of the GPU in which the device exists; None on a GPU without modes.
        is_current: whether its GPU is in that mode now. Only then its nodes are known.
        consumes: what it takes of its GPU's counters while it is allocated.
        taints: why it should not be allocated now.
        alias: the name by which it is published, if that is not its own.
    """

    name: str
    gpu: Gpu
    partition: Partition
    nodes: tuple[DeviceNode, ...]
    driver_version: str | None
    mode: str | None
    is_current: bool = True
    consumes: tuple[CounterConsumption, ...] = ()
    taints: tuple[Taint, ...] = ()
    alias: str = ""

    @property
    def published(self) -> str:
        """The name that Kubernetes knows it by."""
        return self.alias or self.name

    @property
    def is_whole(self) -> bool:
        """Whether it is a whole GPU."""
        return self.mode in WHOLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    """A GPU or partition that is inventoried and not published: a reason code and a sentence.

    `device` is the name that the partition would have been published by; empty if it is the GPU, or modes of it.
    """

    gpu: PciAddress
    device: str = ""
    what: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What is listed of a GPU whose mode can be written.

    Attributes:
        dynamic: every partition of every legal mode, for the scheduler to choose; else those that exist now.
        failed: GPU and compute mode that the kernel could not complete.
        blocked: GPU -> reason code for which it is not switched now; its partitions of other modes get a taint.
        names: by which devices that exist now are published; those of other modes have no AMD name.
    """

    dynamic: bool = False
    failed: frozenset[tuple[PciAddress, str]] = frozenset()
    blocked: Mapping[PciAddress, str] = field(default_factory=dict)
    names: str = PCI_NAMES


STATIC = Layout()


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Devices in the order in which they are published, the counters of their GPUs, and what is withheld."""

    devices: tuple[NodeDevice, ...]
    withheld: tuple[Withheld, ...]
    counter_sets: tuple[CounterSet, ...] = ()

    def find(self, name: str) -> NodeDevice | None:
        """The device of that name."""
        return self._by_name.get(name)

    def find_published(self, name: str) -> NodeDevice | None:
        """The device that is published by that name, or whose own name it is: that may have been published before."""
        return self._by_alias.get(name) or self._by_name.get(name)

    @cached_property
    def _by_alias(self) -> dict[str, NodeDevice]:
        return {device.alias: device for device in self.devices if device.alias}

    def of_gpu(self, address: PciAddress) -> tuple[NodeDevice, ...]:
        """The devices of one GPU."""
        return self._by_gpu.get(address, ())

    @cached_property
    def _by_name(self) -> dict[str, NodeDevice]:
        return {device.name: device for device in self.devices}

    @cached_property
    def _by_gpu(self) -> dict[PciAddress, tuple[NodeDevice, ...]]:
        found: dict[PciAddress, list[NodeDevice]] = {}
        for device in self.devices:
            found.setdefault(device.gpu.address, []).append(device)
        return {address: tuple(devices) for address, devices in found.items()}

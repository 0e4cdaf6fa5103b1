"""`list_devices(inventory)`: what can be handed out, and what is withheld and why."""

from dataclasses import dataclass
from functools import cached_property

from amdgpu_dra.core.devices.names import WHOLE, device_name
from amdgpu_dra.core.gpu import DeviceNode, Gpu, Inventory, Partition


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDevice:
    """A device that can be handed out: one that exists now, or a partition of another mode of its GPU.

    Attributes:
        partition: as KFD shows it; planned (without DRM nodes) if the device is not current.
        mode: compute mode of the GPU in which the device exists; None on a GPU without modes.
        is_current: whether its GPU is in that mode now. Only then its nodes are known.
        nodes: device nodes that a container needs, `/dev/kfd` first.
        driver_version: of the node's amdgpu.
    """

    name: str
    gpu: Gpu
    partition: Partition
    nodes: tuple[DeviceNode, ...]
    driver_version: str | None
    mode: str | None
    is_current: bool = True

    @property
    def is_whole(self) -> bool:
        """Whether it is a whole GPU."""
        return self.mode in WHOLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    """A GPU or partition that is inventoried and not published: a reason code and a sentence."""

    what: str
    reason: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Devices, whole GPUs before partitions and each by address and index; and what is withheld."""

    devices: tuple[NodeDevice, ...]
    withheld: tuple[Withheld, ...]

    def find(self, name: str) -> NodeDevice | None:
        """The device of that name."""
        return self._by_name.get(name)

    @cached_property
    def _by_name(self) -> dict[str, NodeDevice]:
        return {device.name: device for device in self.devices}


def list_devices(inventory: Inventory) -> Listing:
    """Every partition of every GPU, judged on its own."""
    devices: list[NodeDevice] = []
    withheld: list[Withheld] = []
    for gpu in inventory.gpus:
        if not gpu.partitions:
            withheld.append(_withheld(gpu, None, "NoKfdNode", "amdgpu drives it and KFD does not show it"))
        for partition in gpu.partitions:
            found = _judge(inventory, gpu, partition)
            if isinstance(found, NodeDevice):
                devices.append(found)
            else:
                withheld.append(found)
    devices.sort(key=lambda device: (not device.is_whole, device.gpu.address, device.partition.index))
    return Listing(devices=tuple(devices), withheld=tuple(withheld))


def _judge(inventory: Inventory, gpu: Gpu, partition: Partition) -> NodeDevice | Withheld:
    if not gpu.has_pci:
        return _withheld(gpu, partition, "NoPciDevice", "its PCI folder is not there or not bound to amdgpu")
    if gpu.compute_mode in WHOLE and len(gpu.partitions) > 1:
        mode = "unreadable" if gpu.compute_mode is None else gpu.compute_mode
        return _withheld(gpu, partition, "UnknownMode", f"it has several partitions and its compute mode is {mode}")
    if inventory.kfd is None:
        return _withheld(gpu, partition, "NoKfdDevice", "class/kfd/kfd/dev states no device number")
    if partition.render is None:
        return _withheld(gpu, partition, "NoRenderNode", "DRM has no render node for it (out of minors?)")
    nodes = [inventory.kfd, *([partition.card] if partition.card else []), partition.render]
    return NodeDevice(
        name=device_name(gpu.address, gpu.compute_mode, partition.index),
        gpu=gpu,
        partition=partition,
        nodes=tuple(nodes),
        driver_version=inventory.driver_version,
        mode=gpu.compute_mode,
    )


def _withheld(gpu: Gpu, partition: Partition | None, reason: str, detail: str) -> Withheld:
    what = f"GPU {gpu.address}" if partition is None else f"partition {partition.index} of GPU {gpu.address}"
    return Withheld(what=what, reason=reason, detail=detail)

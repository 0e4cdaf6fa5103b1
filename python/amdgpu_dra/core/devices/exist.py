"""Judges one partition that exists now: whether it can be handed out."""

from amdgpu_dra.api.reasons import Reason
from amdgpu_dra.core.devices.device import NodeDevice, Withheld
from amdgpu_dra.core.devices.names import WHOLE, device_name
from amdgpu_dra.core.gpu import Gpu, Inventory, Partition


def judge(inventory: Inventory, gpu: Gpu, partition: Partition) -> NodeDevice | Withheld:
    """The device, or why it is none."""
    if not gpu.has_pci:
        return withhold(gpu, partition, Reason.NO_PCI_DEVICE, "its PCI folder is not there or not bound to amdgpu")
    if gpu.compute_mode in WHOLE and len(gpu.partitions) > 1:
        mode = "unreadable" if gpu.compute_mode is None else gpu.compute_mode
        detail = f"it has several partitions and its compute mode is {mode}"
        return withhold(gpu, partition, Reason.UNKNOWN_MODE, detail)
    if inventory.kfd is None:
        return withhold(gpu, partition, Reason.NO_KFD_DEVICE, "class/kfd/kfd/dev states no device number")
    if partition.render is None:
        return withhold(gpu, partition, Reason.NO_RENDER_NODE, "DRM has no render node for it (out of minors?)")
    nodes = [inventory.kfd, *([partition.card] if partition.card else []), partition.render]
    return NodeDevice(
        name=device_name(gpu.address, gpu.compute_mode, partition.index),
        gpu=gpu,
        partition=partition,
        nodes=tuple(nodes),
        driver_version=inventory.driver_version,
        mode=gpu.compute_mode,
    )


def withhold(
    gpu: Gpu, partition: Partition | None, reason: Reason, detail: str, *, what: str = "GPU", mode: str = ""
) -> Withheld:
    """A GPU (or `what` of it), or a partition of it, that is not published."""
    if partition is None:
        return Withheld(gpu=gpu.address, what=f"{what} {gpu.address}", reason=reason, detail=detail)
    name = f"{mode} partition {partition.index}".strip()
    device = device_name(gpu.address, mode or gpu.compute_mode, partition.index)
    return Withheld(gpu=gpu.address, device=device, what=f"{name} of GPU {gpu.address}", reason=reason, detail=detail)

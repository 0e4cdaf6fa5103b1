"""The partitions of every legal mode of one GPU, of which the scheduler chooses."""

from dataclasses import dataclass, field, replace

from amdgpu_dra.api.reasons import Reason
from amdgpu_dra.api.resource import CounterSet, Taint
from amdgpu_dra.core.devices.device import Layout, NodeDevice, Withheld
from amdgpu_dra.core.devices.exist import judge, withhold
from amdgpu_dra.core.devices.names import WHOLE, device_name
from amdgpu_dra.core.gpu import Gpu, Inventory, Partition
from amdgpu_dra.core.partition import consume, counter_set, plan_modes

BLOCKED_TAINT = "gpu.amd.com/mode-switch-blocked"
# A GPU with modes registers a DRM device of its own for each partition but the first, whatever its mode (amdgpu_xcp.c).
_XCPS = 7


@dataclass(slots=True, kw_only=True)
class Found:
    """What was found so far."""

    devices: list[NodeDevice] = field(default_factory=list)
    withheld: list[Withheld] = field(default_factory=list)
    counter_sets: list[CounterSet] = field(default_factory=list)


class Candidates:
    """Lists the GPUs of one inventory whose mode can be written."""

    def __init__(self, inventory: Inventory, layout: Layout) -> None:
        self._inventory, self._layout = inventory, layout
        with_modes = [gpu.address for gpu in inventory.gpus if gpu.compute_mode is not None or gpu.compute_modes]
        # The order of addresses is that of the driver's probing, by which DRM devices are numbered.
        self._position = {address: position for position, address in enumerate(sorted(with_modes))}

    def add(self, gpu: Gpu, found: Found) -> bool:
        """Adds the partitions of all modes of a GPU; False if only those of now can be listed, with the reason."""
        if not self._layout.dynamic or gpu.address not in self._position or not gpu.has_pci or not gpu.partitions:
            return False
        if not gpu.mode_writable:
            detail = f"its mode {gpu.compute_mode} is as it is: current_compute_partition has no write bit"
            found.withheld.append(withhold(gpu, None, Reason.NOT_WRITABLE, detail, what="other modes of GPU"))
            return False
        planned = plan_modes(gpu)
        if gpu.compute_mode not in planned:
            detail = "sysfs does not tell its XCCs, or which modes are legal"
            found.withheld.append(withhold(gpu, None, Reason.NOT_PLANNABLE, detail, what="other modes of GPU"))
            return False
        if not planned.keys() & set(WHOLE):
            detail = f"SPX is not legal in memory mode {gpu.memory_mode}, which is set now"
            found.withheld.append(withhold(gpu, None, Reason.NO_WHOLE_GPU, detail, what="whole GPU"))
        self._add_modes(gpu, self._without_failed(gpu, planned, found), found)
        return True

    def _without_failed(
        self, gpu: Gpu, planned: dict[str, tuple[Partition, ...]], found: Found
    ) -> dict[str, tuple[Partition, ...]]:
        """The modes that the kernel did not fail to complete; the one that is set now is complete."""
        kept = {}
        for mode, parts in planned.items():
            if mode != gpu.compute_mode and (gpu.address, mode) in self._layout.failed:
                detail = f"the kernel could not complete {mode} when it was last set"
                found.withheld.append(withhold(gpu, None, Reason.MODE_FAILED, detail, what=f"{mode} of GPU"))
            else:
                kept[mode] = parts
        return kept

    def _add_modes(self, gpu: Gpu, planned: dict[str, tuple[Partition, ...]], found: Found) -> None:
        counts = {mode: len(parts) for mode, parts in planned.items()}
        name = device_name(gpu.address, None, 0)
        before = len(found.devices)
        for mode, parts in planned.items():
            for part in parts:
                item = self._candidate(gpu, mode, part)
                if isinstance(item, Withheld):
                    found.withheld.append(item)
                else:
                    found.devices.append(self._bind(item, name, counts))
        counters = counter_set(name, counts)
        if counters is not None and len(found.devices) > before:
            found.counter_sets.append(counters)

    def _bind(self, device: NodeDevice, name: str, counts: dict[str, int]) -> NodeDevice:
        """The device with its counters, and with a taint if its GPU would have to be switched and is not."""
        blocked = self._layout.blocked.get(device.gpu.address)
        taints = () if blocked is None or device.is_current else (Taint(key=BLOCKED_TAINT, value=blocked),)
        consumes = consume(name, counts, device.mode or "", device.partition.index)
        return replace(device, consumes=consumes, taints=taints)

    def _candidate(self, gpu: Gpu, mode: str, part: Partition) -> NodeDevice | Withheld:
        if mode == gpu.compute_mode:
            shown = next((item for item in gpu.partitions if item.index == part.index), None)
            if shown is not None:
                return judge(self._inventory, gpu, shown)
        if not self._has_drm_node(gpu, part.index):
            return withhold(gpu, part, Reason.NO_DRM_NODE, "the kernel ran out of DRM nodes before it", mode=mode)
        if mode == gpu.compute_mode:
            return withhold(gpu, part, Reason.NO_KFD_NODE, "amdgpu drives the GPU and KFD does not show it", mode=mode)
        if self._inventory.kfd is None:
            return withhold(gpu, part, Reason.NO_KFD_DEVICE, "class/kfd/kfd/dev states no device number", mode=mode)
        return NodeDevice(
            name=device_name(gpu.address, mode, part.index),
            gpu=gpu,
            partition=part,
            nodes=(),
            driver_version=self._inventory.driver_version,
            mode=mode,
            is_current=False,
        )

    def _has_drm_node(self, gpu: Gpu, index: int) -> bool:
        """Whether there is a DRM node for this partition, by how many the kernel made; which one it is, KFD tells."""
        if index == 0 or any(part.index == index and part.render is not None for part in gpu.partitions):
            return True
        return _XCPS * self._position[gpu.address] + index <= self._inventory.xcp_nodes

"""The order of devices, which is the order in which the scheduler tries them: it takes the first that fits.

1. Whole GPUs before all partitions: a request that names no kind gets a whole GPU, never silently a fraction.
2. Whole GPUs from one end of the node and partitions from the other, so that the GPUs that stay whole stay so.
3. GPUs by hive, NUMA node and address, so that neighbours in the list are near.
4. Partitions GPU by GPU, of one GPU the finest mode first: a request that takes any partition is served from the GPU
   that is cut already, in whatever mode it is, before the next one is cut; and on a free GPU it takes the least.
5. Devices with a taint last: up to Kubernetes 1.36.2 a device that is refused for its taint keeps its counters for the
   rest of the search, and would take its siblings with it.
"""

from collections.abc import Callable, Iterable

from amdgpu_dra.core.devices.device import NodeDevice
from amdgpu_dra.core.gpu import Gpu, PciAddress

type Key = tuple[bool, bool, int, int, int]


def ranks(gpus: Iterable[Gpu]) -> dict[PciAddress, int]:
    """Address -> place of a GPU among all of them, by hive, NUMA node and address; what is not known comes last."""
    return {gpu.address: rank for rank, gpu in enumerate(sorted(gpus, key=_place))}


def _place(gpu: Gpu) -> tuple[bool, int, bool, int, PciAddress]:
    return (gpu.hive_id is None, gpu.hive_id or 0, gpu.numa_node is None, gpu.numa_node or 0, gpu.address)


def order_key(gpus: Iterable[Gpu], *, from_both_ends: bool) -> Callable[[NodeDevice], Key]:
    """The sort key of the devices of these GPUs; `from_both_ends` is the second rule."""
    rank = ranks(gpus)

    def key(device: NodeDevice) -> Key:
        place = rank[device.gpu.address]
        backwards = from_both_ends and not device.is_whole
        xccs = device.partition.xccs or 0
        return bool(device.taints), not device.is_whole, -place if backwards else place, xccs, device.partition.index

    return key

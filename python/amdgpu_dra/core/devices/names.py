"""Names of devices: stable over reboots, and one shape of hardware for ever."""

from amdgpu_dra.core.gpu import Gpu, Partition


def device_name(gpu: Gpu, partition: Partition) -> str | None:
    """`gpu-0000-05-00-0` for a whole GPU, `gpu-0000-05-00-0-cpx-3` for a partition; None if the mode is not known."""
    base = "gpu-" + str(gpu.address).replace(":", "-").replace(".", "-")
    if not gpu.is_partitioned:
        return base
    return None if gpu.compute_mode is None else f"{base}-{gpu.compute_mode.lower()}-{partition.index}"

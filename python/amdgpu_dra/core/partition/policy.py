"""Whether this node's GPUs are switched from one compute mode to another, one by one."""

from dataclasses import dataclass

from amdgpu_dra.api.reasons import Reason
from amdgpu_dra.core.gpu import Inventory

AUTO, PER_GPU, OFF = "auto", "per-gpu", "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repartition:
    """The choice. `reason` and `detail` say why not, and are empty if GPUs are switched."""

    per_gpu: bool
    reason: str = ""
    detail: str = ""


def choose_repartition(option: str, inventory: Inventory) -> Repartition:
    """What `--repartition` means on this node.

    `auto` is per-gpu where a GPU has `compute_partition_config`, which came with the kernels that refuse a switch only
    for processes on the same GPU; older ones refuse it while any process anywhere on the node uses KFD.
    """
    if option == OFF:
        return Repartition(per_gpu=False, reason=Reason.REPARTITION_OFF, detail="--repartition=off")
    if option == PER_GPU or any(gpu.per_gpu_config for gpu in inventory.gpus):
        return Repartition(per_gpu=True)
    return Repartition(
        per_gpu=False,
        reason=Reason.NO_PER_GPU_CONFIG,
        detail="no GPU has compute_partition_config: this kernel switches a GPU only while nothing on the node uses "
        "KFD; --repartition=per-gpu tries all the same",
    )

"""What a GPU could be cut into, and the counters that keep its modes apart.

Knows compute modes, the kernel's rule which memory mode allows them, and what each partition would have. Everything of
the whole GPU comes from what sysfs says of it now. Refuses to know models, names of devices and slices.
"""

from amdgpu_dra.core.partition.counters import consume, counter_set
from amdgpu_dra.core.partition.modes import legal_modes, partition_count
from amdgpu_dra.core.partition.planner import count_now, plan_modes
from amdgpu_dra.core.partition.policy import AUTO, OFF, PER_GPU, Repartition, choose_repartition

__all__ = [
    "AUTO",
    "OFF",
    "PER_GPU",
    "Repartition",
    "choose_repartition",
    "consume",
    "count_now",
    "counter_set",
    "legal_modes",
    "partition_count",
    "plan_modes",
]

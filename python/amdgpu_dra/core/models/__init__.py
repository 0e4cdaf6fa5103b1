"""The GPU models that are known by name: what sysfs does not say of them.

Knows names, PCI ids, sizes for planning and the kernel's rule for modes. Refuses to know what a node says of itself:
whatever sysfs states is taken from there, and a GPU that stands in no row is a GPU all the same.
"""

from amdgpu_dra.core.models.modes import COMPUTE_MODES, FIXED_COUNTS, PER_XCC, legal_modes, memory_rule, partition_count
from amdgpu_dra.core.models.table import MODELS, Model, find_model

__all__ = [
    "COMPUTE_MODES",
    "FIXED_COUNTS",
    "MODELS",
    "PER_XCC",
    "Model",
    "find_model",
    "legal_modes",
    "memory_rule",
    "partition_count",
]

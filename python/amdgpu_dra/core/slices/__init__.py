"""A node's devices as ResourceSlices, and what brings the API server's slices to that state.

Knows slices, pools, generations and their limits. Refuses to know where slices are kept.
"""

from amdgpu_dra.core.slices.build import DRIVER, MOST_ADVANCED, MOST_DEVICES, MOST_SETS, build_slices, find_unknown
from amdgpu_dra.core.slices.diff import Actions, diff_slices
from amdgpu_dra.core.slices.probe import find_dropped, find_too_old, probe_slices

__all__ = [
    "DRIVER",
    "MOST_ADVANCED",
    "MOST_DEVICES",
    "MOST_SETS",
    "Actions",
    "build_slices",
    "diff_slices",
    "find_dropped",
    "find_too_old",
    "find_unknown",
    "probe_slices",
]

"""A node's devices as ResourceSlices, and what brings the API server's slices to that state.

Knows slices, pools, generations and their limits. Refuses to know where slices are kept.
"""

from amdgpu_dra.core.slices.build import DRIVER, MOST_DEVICES, build_slices
from amdgpu_dra.core.slices.diff import Actions, diff_slices

__all__ = ["DRIVER", "MOST_DEVICES", "Actions", "build_slices", "diff_slices"]

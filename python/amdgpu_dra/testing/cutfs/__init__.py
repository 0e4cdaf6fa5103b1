"""A disk that can lose power: what was not synced is kept apart and lost in part, and disks can be full or broken."""

from amdgpu_dra.testing.cutfs.disk import CutDisk
from amdgpu_dra.testing.cutfs.faults import Fault, Operation, Stop
from amdgpu_dra.testing.cutfs.mounted import CutMount, cut_mount

__all__ = ["CutDisk", "CutMount", "Fault", "Operation", "Stop", "cut_mount"]

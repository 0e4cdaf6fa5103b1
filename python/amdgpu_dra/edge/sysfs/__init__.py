"""Reads the tree below a sysfs root, writes modes there, hears of changes, and checks device nodes.

Knows files, errnos and file types. Refuses to know what a file means: it reads the paths that `core/gpu` lists.
"""

from amdgpu_dra.edge.sysfs.devices import FAKE_MARKER, DeviceRoot
from amdgpu_dra.edge.sysfs.read import find_load, fingerprint, read_generation, read_tree
from amdgpu_dra.edge.sysfs.switch import ModeFiles
from amdgpu_dra.edge.sysfs.uevents import Uevents

__all__ = [
    "FAKE_MARKER",
    "DeviceRoot",
    "ModeFiles",
    "Uevents",
    "find_load",
    "fingerprint",
    "read_generation",
    "read_tree",
]

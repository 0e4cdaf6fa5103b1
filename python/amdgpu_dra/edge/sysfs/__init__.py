"""Reads the tree below a sysfs root, and checks device nodes below a device root.

Knows files, errnos and file types. Refuses to know what a file means: it reads the paths that `core/gpu` lists.
"""

from amdgpu_dra.edge.sysfs.devices import FAKE_MARKER, DeviceRoot
from amdgpu_dra.edge.sysfs.read import fingerprint, read_tree

__all__ = ["FAKE_MARKER", "DeviceRoot", "fingerprint", "read_tree"]

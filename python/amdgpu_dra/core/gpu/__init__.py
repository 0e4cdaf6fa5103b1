"""What a tree of sysfs says about the GPUs of a node.

Knows the files of KFD, PCI and DRM and how they hang together. Refuses to know where the text comes from, what
Kubernetes makes of it, and which modes would be legal.
"""

from amdgpu_dra.core.gpu import paths
from amdgpu_dra.core.gpu.inventory import DeviceNode, Gpu, Inventory, Link, Partition, PciAddress, Problem
from amdgpu_dra.core.gpu.lost import find_lost
from amdgpu_dra.core.gpu.parse import gfx_name, parse
from amdgpu_dra.core.gpu.tree import TreeText, Unreadable

__all__ = [
    "DeviceNode",
    "Gpu",
    "Inventory",
    "Link",
    "Partition",
    "PciAddress",
    "Problem",
    "TreeText",
    "Unreadable",
    "find_lost",
    "gfx_name",
    "parse",
    "paths",
]

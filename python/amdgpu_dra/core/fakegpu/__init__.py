"""Fake GPU nodes: a fleet rendered to the tree that the kernel would show, the inverse of `core/gpu`.

Knows the kernel's numbering and arithmetic. Refuses to know how the tree is written to disk or mounted.
"""

from amdgpu_dra.core.fakegpu.decode import FleetError, decode_fleet
from amdgpu_dra.core.fakegpu.families import FAMILIES, Family
from amdgpu_dra.core.fakegpu.fleet import Fault, FleetSpec, GpuSpec, NumaNode, OtherCard
from amdgpu_dra.core.fakegpu.kfd import KFD
from amdgpu_dra.core.fakegpu.layout import History, Share, probe, shares
from amdgpu_dra.core.fakegpu.pci import folder_of
from amdgpu_dra.core.fakegpu.render import render
from amdgpu_dra.core.models import MODELS, Model

__all__ = [
    "FAMILIES",
    "KFD",
    "MODELS",
    "Family",
    "Fault",
    "FleetError",
    "FleetSpec",
    "GpuSpec",
    "History",
    "Model",
    "NumaNode",
    "OtherCard",
    "Share",
    "decode_fleet",
    "folder_of",
    "probe",
    "render",
    "shares",
]

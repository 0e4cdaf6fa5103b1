"""Structured allocation of Kubernetes 1.37: which devices of a node serve these claims, as the scheduler decides.

Knows pools, selectors, counters, shares, constraints, taints and the order in which they are tried. Refuses to know
where slices and claims come from.
"""

from amdgpu_dra.core.allocate.allocator import (
    MOST_STEPS,
    Allocated,
    Allocator,
    Failed,
    Outcome,
    StepLimit,
    Unsatisfiable,
)
from amdgpu_dra.core.allocate.conformance import Difference, judge_allocation, solve_case
from amdgpu_dra.core.allocate.decode import decode_class, decode_node, decode_slice
from amdgpu_dra.core.allocate.decode_claim import decode_claim
from amdgpu_dra.core.allocate.features import Features
from amdgpu_dra.core.allocate.fields import DecodeError
from amdgpu_dra.core.allocate.model import Claim, Device, DeviceClass, DeviceId, Node, Request, Slice
from amdgpu_dra.core.allocate.pools import Inventory
from amdgpu_dra.core.allocate.reasons import Reason, Refusal
from amdgpu_dra.core.allocate.refusals import inspect_devices, refusals
from amdgpu_dra.core.allocate.selectors import SelectorCache
from amdgpu_dra.core.allocate.state import AllocatedState

__all__ = [
    "MOST_STEPS",
    "Allocated",
    "AllocatedState",
    "Allocator",
    "Claim",
    "DecodeError",
    "Device",
    "DeviceClass",
    "DeviceId",
    "Difference",
    "Failed",
    "Features",
    "Inventory",
    "Node",
    "Outcome",
    "Reason",
    "Refusal",
    "Request",
    "SelectorCache",
    "Slice",
    "StepLimit",
    "Unsatisfiable",
    "decode_claim",
    "decode_class",
    "decode_node",
    "decode_slice",
    "inspect_devices",
    "judge_allocation",
    "refusals",
    "solve_case",
]

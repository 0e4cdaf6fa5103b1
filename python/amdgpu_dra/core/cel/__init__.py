"""Kubernetes' expression language for device selectors and derived attributes.

Knows the language, its types, the functions that Kubernetes adds, and what they cost. Refuses to know where expressions
and devices come from.
"""

from amdgpu_dra.core.cel.conformance import CelOutcome, judge_cel
from amdgpu_dra.core.cel.device import BoundDevice, bind_device
from amdgpu_dra.core.cel.environment import CelOptions
from amdgpu_dra.core.cel.errors import CelCompileError, CelError, CelRuntimeError
from amdgpu_dra.core.cel.program import DerivedValue, Program, compile_derived, compile_selector
from amdgpu_dra.core.cel.reads import AttributeRead

__all__ = [
    "AttributeRead",
    "BoundDevice",
    "CelCompileError",
    "CelError",
    "CelOptions",
    "CelOutcome",
    "CelRuntimeError",
    "DerivedValue",
    "Program",
    "bind_device",
    "compile_derived",
    "compile_selector",
    "judge_cel",
]

"""Hypothesis strategies for the values of the project. A new feature adds itself here: every property meets it."""

from amdgpu_dra.testing.strategies.allocation import allocation_cases
from amdgpu_dra.testing.strategies.cel import cel_cases, cel_expressions
from amdgpu_dra.testing.strategies.fleets import fleets

__all__ = ["allocation_cases", "cel_cases", "cel_expressions", "fleets"]

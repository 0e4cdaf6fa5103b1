"""Switching the compute mode of a GPU: when it is over, what a refusal means, and whom it concerns.

Knows what the kernel answers and what KFD shows before, during and after. Refuses to know how it is written, and which
claims there are.
"""

from amdgpu_dra.core.switch.progress import Switch, has_arrived, hold_still
from amdgpu_dra.core.switch.refusal import KfdProcess, Outcome, disproves, name_holders, processes_on, refusal

__all__ = [
    "KfdProcess",
    "Outcome",
    "Switch",
    "disproves",
    "has_arrived",
    "hold_still",
    "name_holders",
    "processes_on",
    "refusal",
]

"""The life of a claim on a node: which transitions there are, and what a Prepare has to do.

Knows states, effects and the checks of a claim. Refuses to know how effects are carried out.
"""

from amdgpu_dra.core.claims.guard import find_conflict
from amdgpu_dra.core.claims.plan import Plan, PlannedDevice, plan_claim, plan_record
from amdgpu_dra.core.claims.table import TABLE, Effect, Event, effects_of

__all__ = [
    "TABLE",
    "Effect",
    "Event",
    "Plan",
    "PlannedDevice",
    "effects_of",
    "find_conflict",
    "plan_claim",
    "plan_record",
]

"""The life of a claim on a node: which transitions there are, and what a Prepare has to do.

Knows states, effects and the checks of a claim. Refuses to know how effects are carried out.
"""

from amdgpu_dra.core.claims.diagram import draw_states
from amdgpu_dra.core.claims.guard import Holdings, split_name
from amdgpu_dra.core.claims.lost import Missing, find_record, is_missing, name_in, take_stock
from amdgpu_dra.core.claims.plan import (
    Plan,
    PlannedDevice,
    carry_over,
    find_switch,
    find_switches,
    newer_error,
    plan_claim,
    plan_record,
)
from amdgpu_dra.core.claims.table import TABLE, Effect, Event, effects_of
from amdgpu_dra.core.claims.verify import Finding, Here, Seen, judge

__all__ = [
    "TABLE",
    "Effect",
    "Event",
    "Finding",
    "Here",
    "Holdings",
    "Missing",
    "Plan",
    "PlannedDevice",
    "Seen",
    "carry_over",
    "draw_states",
    "effects_of",
    "find_record",
    "find_switch",
    "find_switches",
    "is_missing",
    "judge",
    "name_in",
    "newer_error",
    "plan_claim",
    "plan_record",
    "split_name",
    "take_stock",
]

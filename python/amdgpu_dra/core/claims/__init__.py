"""The life of a claim on a node: which transitions there are, and what a Prepare has to do.

Knows states, effects and the checks of a claim. Refuses to know how effects are carried out.
"""

from amdgpu_dra.core.claims.diagram import draw_states
from amdgpu_dra.core.claims.guard import Holdings, split_name
from amdgpu_dra.core.claims.plan import Plan, PlannedDevice, find_switch, find_switches, plan_claim, plan_record
from amdgpu_dra.core.claims.table import TABLE, Effect, Event, effects_of
from amdgpu_dra.core.claims.verify import Finding, Here, Seen, devices_in, judge, name_in

__all__ = [
    "TABLE",
    "Effect",
    "Event",
    "Finding",
    "Here",
    "Holdings",
    "Plan",
    "PlannedDevice",
    "Seen",
    "devices_in",
    "draw_states",
    "effects_of",
    "find_switch",
    "find_switches",
    "judge",
    "name_in",
    "plan_claim",
    "plan_record",
    "split_name",
]

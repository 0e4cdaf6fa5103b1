"""Why a claim does not fit, in few lines: the allocator's refusals, aggregated and put into words.

Knows causes, what to change, and how much a reader takes in. Refuses to know where objects come from, and decides
nothing: `core/allocate` does.
"""

from amdgpu_dra.core.explain.aggregate import aggregate
from amdgpu_dra.core.explain.classes import CLASSES
from amdgpu_dra.core.explain.explain import explain
from amdgpu_dra.core.explain.model import Cause, Cluster, Explanation, Group, Question, Row, Verdict
from amdgpu_dra.core.explain.objects import find_claim, pick_node, read_claim, read_cluster, read_held
from amdgpu_dra.core.explain.render import MOST_LINES, render_json, render_text
from amdgpu_dra.core.explain.words import WORDS, Words

__all__ = [
    "CLASSES",
    "MOST_LINES",
    "WORDS",
    "Cause",
    "Cluster",
    "Explanation",
    "Group",
    "Question",
    "Row",
    "Verdict",
    "Words",
    "aggregate",
    "explain",
    "find_claim",
    "pick_node",
    "read_claim",
    "read_cluster",
    "read_held",
    "render_json",
    "render_text",
]

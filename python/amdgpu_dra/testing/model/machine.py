"""The state machine: rules for everybody who acts on a node, drawn by Hypothesis."""

from amdgpu_dra.testing.model.pods import PodRules
from amdgpu_dra.testing.model.processes import ProcessRules
from amdgpu_dra.testing.model.world import WorldRules


class NodeMachine(PodRules, ProcessRules, WorldRules):
    """A node under everything that may befall it."""

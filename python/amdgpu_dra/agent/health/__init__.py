"""The kubelets are told the health of devices: at once, on change, and again and again.

Knows the last look and how old it is. Refuses to know what a look finds in the tree, and how a kubelet is spoken to.
"""

from amdgpu_dra.agent.health.board import AGAIN, LEASE, HealthBoard

__all__ = ["AGAIN", "LEASE", "HealthBoard"]

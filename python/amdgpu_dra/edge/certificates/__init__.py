"""A certificate that the webhook makes for itself: its authority, the Secret that keeps it, and who is told of it.

Knows X.509, Secrets and webhook configurations. Refuses to know who serves with it: `edge/admission` does.
"""

from amdgpu_dra.edge.certificates.cluster import Cluster, Target
from amdgpu_dra.edge.certificates.make import Pair, make_pair, renewal_reason

__all__ = ["Cluster", "Pair", "Target", "make_pair", "renewal_reason"]

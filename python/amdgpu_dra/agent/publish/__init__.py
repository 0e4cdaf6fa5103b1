"""Keeps the API server's slices equal to what is wanted, and knows whether the cluster keeps their counters.

Knows when to look and when to wait. Refuses to know HTTP and what stands in a slice.
"""

from amdgpu_dra.agent.publish.publisher import Publisher
from amdgpu_dra.agent.publish.support import Support

__all__ = ["Publisher", "Support"]

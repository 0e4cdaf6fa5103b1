"""Keeps the API server's slices equal to what is wanted.

Knows when to look and when to wait. Refuses to know HTTP and what stands in a slice.
"""

from amdgpu_dra.agent.publish.publisher import Publisher

__all__ = ["Publisher"]

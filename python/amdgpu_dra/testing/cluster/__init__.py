"""Kubernetes objects of clusters of fake nodes: slices as the plugin publishes them, claims, and what claims hold.

The devices come from fleets by the product's own path; nothing of a slice is written by hand.
"""

from amdgpu_dra.testing.cluster.objects import SPX, Object, claim, exactly, held, slices, slices_of

__all__ = ["SPX", "Object", "claim", "exactly", "held", "slices", "slices_of"]

"""Reads Kubernetes objects from files and from standard input, as YAML or JSON.

Knows documents and lists. Refuses to know what the objects mean.
"""

from amdgpu_dra.edge.manifest.read import Manifest, read_manifests

__all__ = ["Manifest", "read_manifests"]

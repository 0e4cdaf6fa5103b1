"""What a release touches: the checkout, OCI layouts on disk, credentials and registries.

Refuses to know what is in an image.
"""

from amdgpu_dra.edge.release.checkout import Checkout, look_at
from amdgpu_dra.edge.release.credentials import Credentials, find_credentials
from amdgpu_dra.edge.release.layout import Layout, read_layout
from amdgpu_dra.edge.release.packed import read_package
from amdgpu_dra.edge.release.reference import Repository, parse_repository, parse_tag
from amdgpu_dra.edge.release.registry import Registry, Sent

__all__ = [
    "Checkout",
    "Credentials",
    "Layout",
    "Registry",
    "Repository",
    "Sent",
    "find_credentials",
    "look_at",
    "parse_repository",
    "parse_tag",
    "read_layout",
    "read_package",
]

"""A real registry on loopback for a test: Debian's docker-registry, which has no API of referrers."""

from amdgpu_dra.testing.registry.process import PASSWORD, USER, registry

__all__ = ["PASSWORD", "USER", "registry"]

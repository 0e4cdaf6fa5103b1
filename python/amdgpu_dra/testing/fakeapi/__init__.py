"""API servers for tests and programs without a cluster: a stand-in of our own, and the real one from its programs.

The stand-in has what the driver relies on: resource versions and conflicts, field selectors, preconditions, watches.
"""

from amdgpu_dra.testing.fakeapi.client import ApiError, Client
from amdgpu_dra.testing.fakeapi.real import find_binaries, real_api
from amdgpu_dra.testing.fakeapi.server import FakeApi, write_kubeconfig

__all__ = ["ApiError", "Client", "FakeApi", "find_binaries", "real_api", "write_kubeconfig"]

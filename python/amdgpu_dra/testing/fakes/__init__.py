"""Fakes of the ports, in memory."""

from amdgpu_dra.testing.fakes.node import FakeNodes, FakeTree, MemoryCdi, MemoryRecords
from amdgpu_dra.testing.fakes.server import FakeClaims, FakeClock, FakeSlices

__all__ = ["FakeClaims", "FakeClock", "FakeNodes", "FakeSlices", "FakeTree", "MemoryCdi", "MemoryRecords"]

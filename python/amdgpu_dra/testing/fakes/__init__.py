"""Fakes of the ports, in memory."""

from amdgpu_dra.testing.fakes.gpus import FakeGpus
from amdgpu_dra.testing.fakes.node import FakeInstances, FakeNodes, FakeTree, MemoryCdi, MemoryRecords
from amdgpu_dra.testing.fakes.server import FakeClaims, FakeClock, FakeEvents, FakeSlices

__all__ = [
    "FakeClaims",
    "FakeClock",
    "FakeEvents",
    "FakeGpus",
    "FakeInstances",
    "FakeNodes",
    "FakeSlices",
    "FakeTree",
    "MemoryCdi",
    "MemoryRecords",
]

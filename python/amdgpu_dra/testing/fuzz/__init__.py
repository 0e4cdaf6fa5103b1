"""Every parser that reads what others wrote, under bytes and documents that nobody meant to write.

Knows which parsers there are, what each may answer, and how to spoil what it is given.
"""

from amdgpu_dra.testing.fuzz.corpus import read_corpus
from amdgpu_dra.testing.fuzz.mutate import mutate
from amdgpu_dra.testing.fuzz.targets import TARGETS, Target

__all__ = ["TARGETS", "Target", "mutate", "read_corpus"]

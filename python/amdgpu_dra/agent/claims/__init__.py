"""Prepare and Unprepare: claims in, answers out, effects carried out in between.

Knows the order of effects and which claims may run side by side. Refuses to know gRPC, files and the API's protocol.
"""

from amdgpu_dra.agent.claims.asking import PacedClaims, PatientClaims
from amdgpu_dra.agent.claims.manager import Answer, ClaimManager, ClaimRef, Paths, World
from amdgpu_dra.agent.claims.refusals import telling
from amdgpu_dra.agent.claims.rescan import Rescan
from amdgpu_dra.agent.claims.survey import Survey
from amdgpu_dra.agent.claims.switcher import Switcher
from amdgpu_dra.agent.claims.verify import Verifier

__all__ = [
    "Answer",
    "ClaimManager",
    "ClaimRef",
    "PacedClaims",
    "Paths",
    "PatientClaims",
    "Rescan",
    "Survey",
    "Switcher",
    "Verifier",
    "World",
    "telling",
]

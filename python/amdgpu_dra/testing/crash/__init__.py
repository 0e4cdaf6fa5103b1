"""Crash at every effect: a real plugin is killed before and after each, started again, and has to end as without it.

The effects are found from outside, by the system calls of a run without a kill. Each path of a claim is a story of
phases; after each phase what there is must be what there was after it in the run without a kill.
"""

from amdgpu_dra.testing.crash.paths import PATHS
from amdgpu_dra.testing.crash.run import Choice, Report, crash, rehearse
from amdgpu_dra.testing.crash.stage import Path, Phase, Stage

__all__ = ["PATHS", "Choice", "Path", "Phase", "Report", "Stage", "crash", "rehearse"]

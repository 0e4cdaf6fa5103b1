"""A plugin that does more than it should: the harness finds the effect, and what a crash leaves of it."""

import asyncio
import platform
import sys
from dataclasses import replace

import pytest

from amdgpu_dra.testing.crash import PATHS, Choice, Path, crash, rehearse
from amdgpu_dra.testing.systrace import MACHINE

pytestmark = pytest.mark.skipif(
    platform.machine() != MACHINE,
    reason=f"system calls are known by number: run on {MACHINE}, this is {platform.machine()}",
)
# The plugin, but saving a record does more than it should.
_PATCHED = """
import os, sys
from amdgpu_dra.edge.disk import RecordFiles
save = RecordFiles.save
def saves_more(self, record):
    open(self.folder + "/marker", "wb").close()
    save(self, record)
    os.unlink(self.folder + "/marker")
RecordFiles.save = saves_more
from amdgpu_dra.apps.kubelet_plugin.main import main
sys.exit(main())
"""


def _short() -> Path:
    life = PATHS["life"]
    return replace(
        life, phases=tuple(phase for phase in life.phases if phase.name in ("start", "prepare", "release", "stop"))
    )


def test_an_added_effect_is_found_and_what_it_leaves_is_reported() -> None:
    """A marker around each save is two more effects for each of two saves; a kill between them leaves it behind."""

    async def story() -> None:
        path, patched = _short(), [sys.executable, "-c", _PATCHED]
        plain = [point for point in await rehearse(path) if point.phase == "prepare"]
        more = [point for point in await rehearse(path, patched) if point.phase == "prepare"]
        assert len(more) == len(plain) + 4
        assert {point.effect for point in more} - {point.effect for point in plain} == {
            f"{verb} plugins/gpu.amd.com/claims/marker" for verb in ("open", "unlink")
        }
        # On its other side the next save takes the marker away again: the last one is what stays.
        report = await crash(path, Choice(only="prepare: unlink plugins/gpu.amd.com/claims/marker #2"), command=patched)
        assert report.kills == 2
        assert len(report.broken) == 1
        assert "marker" in report.broken[0]

    asyncio.run(story())

"""The plugin killed before and after every effect that the system calls show."""

import asyncio
import os
import platform

import pytest

from amdgpu_dra.edge.fakekernel import why_no_kernel
from amdgpu_dra.testing.crash import PATHS, Choice, crash
from amdgpu_dra.testing.systrace import MACHINE

pytestmark = pytest.mark.skipif(
    platform.machine() != MACHINE,
    reason=f"system calls are known by number: run on {MACHINE}, this is {platform.machine()}",
)
# Each path is a target of its own, so that they run beside each other.
_NAMES = os.environ.get("CRASH_PATH", ",".join(sorted(PATHS))).split(",")
_LEAST = {"life": 50, "repair": 20, "upgrade": 15, "switch": 25}


@pytest.mark.parametrize("name", _NAMES)
def test_path(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Killed at each effect and started again, the kubelet's retry leads to what there is without the kill."""
    path = PATHS[name]
    if path.dynamic and why_no_kernel():
        pytest.skip(f"a fake kernel: {why_no_kernel()}")
    report = asyncio.run(crash(path, Choice()))
    with capsys.disabled():
        print(f"\n{report}")

    assert report.broken == []
    assert report.missed == []
    assert report.kills == 2 * len(report.points)
    assert len(report.points) >= _LEAST[name]

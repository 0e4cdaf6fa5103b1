"""The demo, as a user runs it."""

import os
import subprocess
import sys

import pytest

from amdgpu_dra.edge.fakekernel import why_no_kernel

_FUSE = {name: os.environ[name] for name in ("FUSE_LIBRARY_PATH",) if name in os.environ}


def _demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from amdgpu_dra.testing.demo.__main__ import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin:/bin"} | _FUSE,
    )


@pytest.mark.parametrize("fleet", ["mi300x-8-spx", "mi300x-8-mixed", "mi300x-8-broken", "mi350x-vf"])
def test_demo_serves_claims_and_leaves_nothing(fleet: str) -> None:
    """On whole GPUs, partitions, a broken node and a virtual function claims are served, and nothing is left behind."""
    done = _demo("--fleet", fleet)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Left behind: nothing" in done.stdout
    assert "one-gpu" in done.stdout


@pytest.mark.skipif(bool(why_no_kernel()), reason=f"a fake kernel: {why_no_kernel()}")
def test_demo_cuts_a_gpu_by_need() -> None:
    """A whole GPU, then eight, four and two partitions of one GPU one after another: each mode comes with its claim."""
    done = _demo("--partitions", "dynamic")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "120 devices in 3 slice(s)" in done.stdout
    for name in ("gpu-0000-05-00-0", *(f"gpu-0000-e5-00-0-{last}" for last in ("cpx-7", "qpx-3", "dpx-1"))):
        assert f"got {name}\n" in done.stdout
    assert "Left behind: nothing" in done.stdout


def test_unknown_fleet_is_one_line() -> None:
    """A fleet that is none ends with a line that names those there are, and no traceback."""
    done = _demo("--fleet", "mi999")

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "mi300x-8-spx" in done.stderr

"""The demo, as a user runs it."""

import subprocess
import sys

import pytest


def _demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from amdgpu_dra.testing.demo.__main__ import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin:/bin"},
    )


@pytest.mark.parametrize("fleet", ["mi300x-8-spx", "mi300x-8-mixed", "mi300x-8-broken", "mi350x-vf"])
def test_demo_serves_claims_and_leaves_nothing(fleet: str) -> None:
    """On whole GPUs, partitions, a broken node and a virtual function claims are served, and nothing is left behind."""
    done = _demo("--fleet", fleet)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Left behind: nothing" in done.stdout
    assert "one-gpu" in done.stdout


def test_unknown_fleet_is_one_line() -> None:
    """A fleet that is none ends with a line that names those there are, and no traceback."""
    done = _demo("--fleet", "mi999")

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "mi300x-8-spx" in done.stderr

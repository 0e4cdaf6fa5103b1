"""Helm, as e2e/setup made it, and what the chart renders with it."""

import os
import subprocess
from pathlib import Path

import pytest

CHART = Path("charts/k8s-gpu-dra-driver")
VALUES = Path("charts/testdata")
# The oldest Kubernetes that serves resource.k8s.io/v1 by itself; Helm alone would take its own.
KUBERNETES = "1.34.0"


def find_helm() -> str:
    """The path of the program; skips the test, with the reason, where set-up found that this machine cannot have it.

    Raises:
        FileNotFoundError: set-up has not run.
    """
    folder = Path(os.environ["AMDGPU_DRA_CACHE"]) / "e2e"
    if (folder / "unavailable").is_file():
        pytest.skip(f"there is no Helm: {(folder / 'unavailable').read_text().strip()}")
    current = folder / "current"
    if not current.is_file():
        raise FileNotFoundError(
            f"{current}: expected what e2e/setup writes, found nothing; run e2e/setup, or ./bazelw test //..."
        )
    return dict(line.split("=", 1) for line in current.read_text().splitlines())["helm"]


def run(command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One call of Helm, with no configuration of a user and no cluster."""
    home = os.environ.get("TEST_TMPDIR", "/nonexistent")
    return subprocess.run(
        [find_helm(), command, *arguments],
        env={"HOME": home, "PATH": "/usr/bin:/bin", "KUBECONFIG": f"{home}/none"},
        capture_output=True,
        text=True,
        check=False,
    )


def render(*values: str) -> subprocess.CompletedProcess[str]:
    """`helm template`, with these further arguments."""
    return run("template", "driver", str(CHART), "--namespace", "amd-gpu", "--kube-version", KUBERNETES, *values)

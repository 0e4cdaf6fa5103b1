"""Helm, as e2e/setup made it, and what the chart renders with it."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

CHART = Path("charts/k8s-gpu-dra-driver")
VALUES = Path("charts/testdata")


def _oldest() -> str:
    (bar,) = re.findall(r"^kubeVersion: *\">=([0-9.]+)-0\"$", (CHART / "Chart.yaml").read_text(), re.MULTILINE)
    return str(bar)


OLDEST = _oldest()
# The oldest that serves resource.k8s.io/v1 by itself; Helm alone would take its own.
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


def given(*values: str) -> tuple[str, ...]:
    """`--set` for each of PATH=VALUE."""
    return tuple(part for value in values for part in ("--set", value))


def rendered(*values: str) -> dict[str, dict[str, Any]]:
    """What `render` gives, as KIND/NAME -> object."""
    return objects(render(*values))


def objects(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    """What a rendering printed, as KIND/NAME -> object."""
    assert done.returncode == 0, done.stderr
    found = [item for item in yaml.safe_load_all(done.stdout) if item]
    return {f"{item['kind']}/{item['metadata']['name']}": item for item in found}


def one(found: dict[str, dict[str, Any]], kind: str) -> dict[str, Any]:
    """The only object of a kind."""
    (item,) = [item for item in found.values() if item["kind"] == kind]
    return item


def render_unbarred(folder: Path, version: str, *values: str) -> subprocess.CompletedProcess[str]:
    """`helm template` for any Kubernetes, also one that the chart refuses; `folder` takes a copy of the chart."""
    chart = folder / "chart"
    shutil.copytree(CHART, chart)
    about = chart / "Chart.yaml"
    lines = about.read_text().splitlines(keepends=True)
    about.write_text("".join(line for line in lines if not line.startswith("kubeVersion")))
    return run("template", "driver", str(chart), "--namespace", "amd-gpu", "--kube-version", version, *values)

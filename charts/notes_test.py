"""What Helm says after an install: the next commands, and which values changed nothing."""

import shutil
import textwrap
from pathlib import Path

import helm
import pytest
import yaml

IMAGE = ("--set", "image.repository=registry.example/plugin")


def _notes(folder: Path, *arguments: str) -> str:
    """The notes, rendered as a file of a copy of the chart: Helm shows them only after it asked a cluster."""
    chart = folder / "chart"
    shutil.copytree(helm.CHART, chart)
    text = textwrap.indent((chart / "templates/NOTES.txt").read_text(), "  ", lambda _: True)
    (chart / "templates/notes.yaml").write_text(f"notes: |\n  Notes: {text}")
    done = helm.run(
        "template",
        "driver",
        str(chart),
        "--namespace",
        "amd-gpu",
        "--kube-version",
        helm.KUBERNETES,
        "--show-only",
        "templates/notes.yaml",
        *arguments,
    )
    assert done.returncode == 0, done.stderr
    notes: str = yaml.safe_load(done.stdout)["notes"]
    return notes


def test_the_next_commands_are_named(tmp_path: Path) -> None:
    """They name the DaemonSet and the namespace that there are, and nothing is said of values that do something."""
    notes = _notes(tmp_path, *IMAGE)

    assert "kubectl -n amd-gpu rollout status daemonset/driver-k8s-gpu-dra-driver-kubeletplugin" in notes
    assert "kubectl get resourceslices --field-selector spec.driver=gpu.amd.com" in notes
    assert "helm test driver --namespace amd-gpu" in notes
    assert "changes nothing" not in notes


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("kubeletPlugin.kmmDriverEnabled=true", "kubeletPlugin.kmmDriverEnabled=true changes nothing"),
        ("kubeletPlugin.containers.init.image=busybox", "kubeletPlugin.containers.init changes nothing"),
        ("deviceClass.create=false", "something else has to make the class gpu.amd.com"),
    ],
)
def test_what_does_nothing_is_said(value: str, text: str, tmp_path: Path) -> None:
    """A value of AMD's chart that changes nothing here is taken, and the notes say so and why."""
    assert text in _notes(tmp_path, *IMAGE, "--set", value)

"""The packed chart, by real Helm, from disk and from a real registry."""

import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import helm
import pytest
import yaml

from amdgpu_dra.apps.release import main
from amdgpu_dra.testing.registry import registry

PACKAGE = os.environ["PACKAGE"]
NAME = "k8s-gpu-dra-driver"
REPOSITORY = "registry.example/gpu/plugin"


def _pack(out: Path, chart: Path = helm.CHART, *more: str) -> Path:
    """The chart, packed here by the program that Bazel runs."""
    files = sorted((path for path in chart.rglob("*") if path.is_file()), reverse=True)
    status = out.with_suffix(".status")
    status.write_text("STABLE_GIT_DESCRIBE v1.2.3-0-gabc1234\n")
    assert main(["package", f"--status={status}", f"--out={out}", *more, *map(str, files)], {}) == 0
    return out


@pytest.fixture(name="checkout")
def _checkout(tmp_path: Path) -> Path:
    git = ["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@example.com"]
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "one"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    return tmp_path


@pytest.fixture(name="host")
def _host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("registry")) as host:
        yield host


def test_the_same_chart_gives_the_same_package(tmp_path: Path) -> None:
    """Neither folder, times nor order show; nothing in it has an owner or a time."""
    copy = tmp_path / NAME
    for path in helm.CHART.rglob("*"):
        if path.is_file():
            (copy / path.relative_to(helm.CHART)).parent.mkdir(parents=True, exist_ok=True)
            (copy / path.relative_to(helm.CHART)).write_bytes(path.read_bytes())

    one, two = _pack(tmp_path / "one.tgz"), _pack(tmp_path / "two.tgz", copy)

    assert one.read_bytes() == two.read_bytes()
    with tarfile.open(one) as tar:
        assert {(each.uid, each.mtime, each.mode) for each in tar} == {(0, 0, 0o644)}


def test_bazels_package_is_the_whole_chart() -> None:
    """Every file of the source is in what //charts:package makes, and has one version."""
    with tarfile.open(PACKAGE) as tar:
        names = {each.name.removeprefix(f"{NAME}/") for each in tar}
        file = tar.extractfile(f"{NAME}/Chart.yaml")
        assert file is not None
        chart = yaml.safe_load(file.read())

    assert names == {str(path.relative_to(helm.CHART)) for path in helm.CHART.rglob("*") if path.is_file()}
    assert chart["version"] == chart["appVersion"]


def test_helm_takes_the_package(tmp_path: Path) -> None:
    """Lint is content, and the packed chart renders what the source does, but for version and repository."""
    package = _pack(tmp_path / "chart.tgz", helm.CHART, f"--repository={REPOSITORY}")

    linted = helm.run("lint", str(package), "--strict", "--namespace", "amd-gpu")
    rendered = helm.run("template", "d", str(package), "--namespace", "amd-gpu", "--kube-version", helm.KUBERNETES)

    assert linted.returncode == 0, linted.stdout + linted.stderr
    assert rendered.returncode == 0, rendered.stderr
    assert f"image: {REPOSITORY}:1.2.3" in rendered.stdout.replace('"', "")
    assert f"{NAME}-1.2.3" in rendered.stdout


def test_helm_installs_from_the_registry(tmp_path: Path, checkout: Path, host: str) -> None:
    """Pushed by our program: `helm pull` gives the same bytes, and `helm template oci://…` renders it."""
    package = _pack(tmp_path / "chart.tgz", helm.CHART, f"--repository={REPOSITORY}")
    environment = {"BUILD_WORKSPACE_DIRECTORY": str(checkout), "HOME": str(checkout)}
    arguments = ["chart", f"--package={package}", "--plain-http", "--allow-dirty", f"{host}/charts"]
    assert main(arguments, environment) == 0
    (tmp_path / "pulled").mkdir()
    at = ["--version", "1.2.3", "--plain-http"]

    pulled = helm.run("pull", f"oci://{host}/charts/{NAME}", *at, "--destination", str(tmp_path / "pulled"))
    assert pulled.returncode == 0, pulled.stderr
    rendered = helm.run(
        "template", "d", f"oci://{host}/charts/{NAME}", *at, "--namespace", "gpu", "--kube-version", helm.KUBERNETES
    )

    assert (tmp_path / f"pulled/{NAME}-1.2.3.tgz").read_bytes() == package.read_bytes()
    assert rendered.returncode == 0, rendered.stderr
    assert "kind: DaemonSet" in rendered.stdout

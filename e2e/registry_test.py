"""From the checkout to a node, by a real registry in the cluster's own network: pushed, pulled by digest, installed."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import NAMESPACE, TREES, Cluster, apply_scenario, find_pieces, read_report, remove_driver

from amdgpu_dra.testing.registry import registry

CHART = "k8s-gpu-dra-driver"
VERSION = "1.2.3"
INDEXES = {"": "images/kubelet_plugin/index", "-webhook": "images/webhook/index"}
PORT = 5000
# What containerd reads at each pull.
HOSTS = """server = "http://{host}"
[host."http://{host}"]
  capabilities = ["pull", "resolve"]
"""


def _release(cluster: Cluster, checkout: Path, *arguments: str) -> str:
    """The program that pushes, in the cluster's network."""
    environment = {
        **os.environ,
        "BUILD_WORKSPACE_DIRECTORY": str(checkout),
        "HOME": str(checkout),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = cluster.host.in_network(sys.executable, "-m", "amdgpu_dra.apps.release", *arguments)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _checkout(folder: Path) -> None:
    """A tagged checkout; the push reads the version from it."""
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.com"]
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "one"], ["tag", f"v{VERSION}"]):
        subprocess.run([*git, *command], check=True, capture_output=True)


@pytest.fixture(name="host", scope="module")
def _host(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry in the cluster's network, by the address that its nodes reach it under."""
    (gateway,) = re.findall(r"default via (\S+)", cluster.in_node("ip", "-4", "route", "show", "default"))
    where = f"0.0.0.0:{PORT}"
    with registry(tmp_path_factory.mktemp("registry"), address=where, start=cluster.host.in_network):
        yield f"{gateway}:{PORT}"


@pytest.fixture(name="digest", scope="module")
def _digest(cluster: Cluster, host: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of the plugin's index, pushed with the webhook's and the chart."""
    checkout = tmp_path_factory.mktemp("checkout")
    _checkout(checkout)
    images = [f"--image=//x:index={path}={end}" for end, path in INDEXES.items()]
    locks = ["--debian-lock=images/base/packages_lock.json", "--wheel-lock=python/requirements_lock.txt"]
    pushed = _release(cluster, checkout, "images", *images, *locks, "--plain-http", f"{host}/gpu/plugin", VERSION)
    chart = tmp_path_factory.mktemp("chart") / "chart.tgz"
    files = [str(path) for path in sorted(Path("charts", CHART).rglob("*")) if path.is_file()]
    more = [f"--version={VERSION}", f"--repository={host}/gpu/plugin", "--status=/dev/null", f"--out={chart}"]
    _release(cluster, checkout, "package", *more, *files)
    _release(cluster, checkout, "chart", f"--package={chart}", "--plain-http", f"{host}/charts")
    found = re.search(r"gpu/plugin:\S+@(sha256:[0-9a-f]{64})", pushed)
    assert found is not None, pushed
    return found[1]


@pytest.fixture(name="installed", scope="module")
def _installed(cluster: Cluster, host: str, digest: str) -> Iterator[None]:
    """The chart from the registry; the node is told where the registry is, and pulls the image by its digest."""
    folder = f"/etc/containerd/certs.d/{host}"
    text = HOSTS.format(host=host)
    cluster.in_node("sh", "-c", 'mkdir -p "$0" && printf %s "$1" > "$0/hosts.toml"', folder, text)
    tree = f"{TREES}/mi300x-8-spx"
    values = {
        "image.tag": f"{VERSION}@{digest}",
        "image.pullPolicy": "Always",
        "kubeletPlugin.sysfsPath": f"{tree}/sys",
        "kubeletPlugin.devPath": f"{tree}/dev",
    }
    pairs = [part for name, value in values.items() for part in ("--set", f"{name}={value}")]
    chart = [f"oci://{host}/charts/{CHART}", "--version", VERSION, "--plain-http"]
    where = ["--namespace", NAMESPACE, "--create-namespace"]
    cluster.host.run(find_pieces().helm, "install", "driver", *chart, *where, *pairs, timeout=90)
    sets = cluster.kubectl("get", "daemonsets", "-n", NAMESPACE, "-o", "name").split()
    cluster.kubectl("rollout", "status", "-n", NAMESPACE, "--timeout=120s", *sets, timeout=130)
    yield
    remove_driver(cluster)


@pytest.mark.usefixtures("installed")
def test_the_node_pulls_by_digest_and_the_plugin_serves(cluster: Cluster, namespace: str, digest: str) -> None:
    """The plugin runs from the registry's image, which nobody loaded into the node, and a pod gets its GPU."""
    (pod,) = cluster.get("pods", namespace=NAMESPACE)
    (status,) = pod["status"]["containerStatuses"]
    assert status["imageID"].endswith(f"/gpu/plugin@{digest}")
    events = cluster.get("events", namespace=NAMESPACE)
    assert any(each["reason"] == "Pulled" and digest in each["message"] for each in events)

    log = cluster.kubectl("logs", "-n", NAMESPACE, pod["metadata"]["name"])
    assert f"version {VERSION}" in log

    apply_scenario(cluster, namespace, "one-gpu")
    assert read_report(cluster, namespace, "one-gpu")["made"]


@pytest.mark.usefixtures("installed")
def test_referrers_are_read_in_the_cluster(cluster: Cluster, host: str, digest: str) -> None:
    """From the node, by the digest's tag: SBOM and provenance of the image that runs."""
    tag = digest.replace(":", "-")
    url = f"http://{host}/v2/gpu/plugin/manifests/{tag}"
    # Asked for nothing, this registry offers Docker's own types alone.
    accept = "Accept: application/vnd.oci.image.index.v1+json"
    listed: Any = json.loads(cluster.in_node("busybox", "wget", "-qO-", "--header", accept, url))

    kinds = {each["artifactType"] for each in listed["manifests"]}
    assert kinds == {"application/spdx+json", "application/vnd.in-toto+json"}

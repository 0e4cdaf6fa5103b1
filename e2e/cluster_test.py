"""The driver on a real cluster: real kubelet, scheduler, API server and container runtime; only the GPUs are fake."""

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import Cluster, find_pieces, make_host

from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.core.gpu import Gpu, parse
from amdgpu_dra.edge.faketree import read_fleet, write_tree

FLEET = read_fleet("mi300x-8-spx")
GPUS = {f"gpu-{str(gpu.address).replace(':', '-').replace('.', '-')}": gpu for gpu in parse(render(FLEET)).gpus}
SCENARIOS = Path("e2e/scenarios").resolve()
CHART = Path("charts/k8s-gpu-dra-driver").resolve()
ARCHIVE = Path("images/kubelet_plugin/load/tarball.tar").resolve()
DRIVER_NAMESPACE = "amd-gpu"


@pytest.fixture(name="cluster", scope="module")
def _cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A kind cluster with the fake tree in its node, our image loaded and our chart installed."""
    pieces = find_pieces()
    base = Path(os.environ["AMDGPU_DRA_CACHE"]) / "e2e"
    with tempfile.TemporaryDirectory(prefix="run-", dir=base, ignore_cleanup_errors=True) as folder:
        work = Path(folder)
        write_tree(render(FLEET), work / "tree", nodes=True)
        host = make_host(pieces, work)
        cluster = Cluster(host, pieces)
        try:
            cluster.create(work / "tree")
            _place(ARCHIVE, work / "image.tar")
            _place_tree(CHART, work / "chart")
            cluster.load(work / "image.tar")
            cluster.install(
                work / "chart",
                DRIVER_NAMESPACE,
                {
                    "image.repository": "localhost/amdgpu-dra/kubelet-plugin",
                    "image.tag": "dev",
                    "image.pullPolicy": "Never",
                    "kubeletPlugin.sysfsPath": "/fake-gpu/sys",
                    "kubeletPlugin.devPath": "/fake-gpu/dev",
                },
            )
            yield cluster
            if request.session.testsfailed == 0:
                cluster.uninstall(DRIVER_NAMESPACE)
                assert cluster.in_node("find", "/var/run/cdi", "-name", "*amd*") == ""
                cluster.delete()
        finally:
            if request.session.testsfailed or "CI_KEEP_LOGS" in os.environ:
                cluster.keep_logs(Path(os.environ.get("TEST_UNDECLARED_OUTPUTS_DIR", str(base / "logs"))))
            host.stop()


def _place(source: Path, target: Path) -> None:
    target.write_bytes(source.read_bytes())


def _place_tree(source: Path, target: Path) -> None:
    for path in source.rglob("*"):
        if path.is_file():
            (target / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            _place(path, target / path.relative_to(source))


@pytest.fixture(name="namespace")
def _namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace for one test. When it is gone, nothing of its claims may be left on node or API server."""
    name = request.node.name.replace("_", "-").removeprefix("test-")[:40].rstrip("-")
    cluster.kubectl("create", "namespace", name)
    cluster.wait(
        "the ServiceAccount default", lambda: bool(cluster.get("serviceaccounts", namespace=name, name="default"))
    )
    cluster.apply((SCENARIOS / "probe.yaml").read_text(), name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait", "--timeout=60s", timeout=90)
    assert cluster.get("resourceclaims", namespace=name) == []
    left = cluster.in_node("find", "/var/run/cdi", "/var/lib/kubelet/plugins/gpu.amd.com/claims", "-name", "*.json")
    assert left == ""


def _apply(cluster: Cluster, namespace: str, scenario: str) -> None:
    cluster.apply((SCENARIOS / f"{scenario}.yaml").read_text(), namespace)


def _report(cluster: Cluster, namespace: str, pod: str, container: str = "work") -> dict[str, Any]:
    """What the probe in a container printed; its pod stays, so that its claim does too."""
    cluster.wait_phase(namespace, pod, "Running")
    printed = cluster.wait(
        f"pod {pod} to report", lambda: cluster.kubectl("logs", "-n", namespace, pod, "-c", container).strip()
    )
    found: dict[str, Any] = json.loads(printed)
    return found


def _expected_nodes(gpu: Gpu) -> dict[str, str]:
    """The nodes and numbers that the tree states for a GPU."""
    (part,) = gpu.partitions
    assert part.render is not None
    assert part.card is not None
    nodes = {f"/dev/{node.path}": f"{node.major}:{node.minor}" for node in (part.render, part.card)}
    return nodes | {"/dev/kfd": f"{FLEET.kfd_major}:0"}


def _devices(cluster: Cluster, namespace: str) -> dict[str, list[str]]:
    """Claim -> allocated devices."""
    found = {}
    for claim in cluster.get("resourceclaims", namespace=namespace):
        results = claim.get("status", {}).get("allocation", {}).get("devices", {}).get("results", [])
        found[claim["metadata"]["name"]] = [result["device"] for result in results]
    return found


def _check_nodes(report: dict[str, Any], gpu: Gpu) -> None:
    """Exactly the three nodes of the GPU, with the tree's numbers, and the devices cgroup lets each be opened."""
    assert _expected_nodes(gpu) == {path: node["number"] for path, node in report["nodes"].items()}
    assert {node["open"] for node in report["nodes"].values()} <= {"opened", "ENXIO"}


def test_slices_show_every_gpu(cluster: Cluster) -> None:
    """The node publishes its eight GPUs in one slice that belongs to it."""
    (item,) = cluster.get("resourceslices")

    assert list(GPUS) == [device["name"] for device in item["spec"]["devices"]]
    assert item["metadata"]["ownerReferences"][0]["kind"] == "Node"


def test_one_gpu_in_one_pod(cluster: Cluster, namespace: str) -> None:
    """A container may open the three nodes of its GPU; the number of every other GPU is refused with EPERM."""
    _apply(cluster, namespace, "one-gpu")
    report = _report(cluster, namespace, "one-gpu")

    (devices,) = _devices(cluster, namespace).values()
    gpu = GPUS[devices[0]]
    _check_nodes(report, gpu)
    own = gpu.partitions[0].render
    assert own is not None
    assert report["made"].pop(str(own.minor)) in {"opened", "ENXIO"}
    assert set(report["made"].values()) == {"EPERM"}
    assert len(report["made"]) == 7
    assert any(str(gpu.address) in value for value in report["env"].values())


def test_two_pods_two_gpus(cluster: Cluster, namespace: str) -> None:
    """Two pods get different GPUs, each refused the other's; a user that is not root may open its own."""
    _apply(cluster, namespace, "two-pods")
    first, second = (_report(cluster, namespace, pod) for pod in ("first", "second"))

    gpus = [GPUS[names[0]] for _, names in sorted(_devices(cluster, namespace).items())]
    assert gpus[0].address != gpus[1].address
    _check_nodes(first, gpus[0])
    _check_nodes(second, gpus[1])
    assert second["user"] == 1000
    theirs = gpus[1].partitions[0].render
    assert theirs is not None
    assert first["made"][str(theirs.minor)] == "EPERM"
    assert second["nodes"][f"/dev/{theirs.path}"]["open"] in {"opened", "ENXIO"}


def test_one_claim_in_two_containers(cluster: Cluster, namespace: str) -> None:
    """Both containers of a pod that share a claim get the same nodes."""
    _apply(cluster, namespace, "shared-claim")
    one, two = (_report(cluster, namespace, "shared", container) for container in ("one", "two"))

    gpu = GPUS[_devices(cluster, namespace)["shared"][0]]
    _check_nodes(one, gpu)
    _check_nodes(two, gpu)


def test_a_claim_that_cannot_fit_waits(cluster: Cluster, namespace: str) -> None:
    """With seven GPUs held a claim of two stays pending, and gets them when they are freed."""
    _apply(cluster, namespace, "wait-for-gpu")
    cluster.wait_phase(namespace, "holder", "Running")
    _apply(cluster, namespace, "wait-for-gpu-second")

    def refused() -> bool:
        events = cluster.get("events", namespace=namespace)
        return any(e["reason"] == "FailedScheduling" and e["involvedObject"]["name"] == "waiter" for e in events)

    cluster.wait("the scheduler to refuse the waiter", refused)
    assert cluster.get("pods", namespace=namespace, name="waiter")["status"]["phase"] == "Pending"
    cluster.kubectl("delete", "pod", "-n", namespace, "holder", "--wait", "--timeout=30s")
    report = _report(cluster, namespace, "waiter")

    assert len([path for path in report["nodes"] if "renderD" in path]) == 2

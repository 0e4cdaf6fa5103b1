"""Whole GPUs on a real cluster: real kubelet, scheduler, API server and container runtime; only the GPUs are fake."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from harness import (
    TREES,
    Cluster,
    allocated_devices,
    apply_scenario,
    install_driver,
    knows_gpus,
    pod_manifest,
    read_report,
    remove_driver,
    render_minors,
    require_fleet,
    wait_refused,
)

from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.core.gpu import Gpu, parse
from amdgpu_dra.edge.faketree import read_fleet

FLEET = read_fleet("mi300x-8-spx")
GPUS = {f"gpu-{str(gpu.address).replace(':', '-').replace('.', '-')}": gpu for gpu in parse(render(FLEET)).gpus}
pytestmark = pytest.mark.usefixtures("driver")


@pytest.fixture(name="driver", scope="module")
def _driver(cluster: Cluster) -> Iterator[None]:
    """The chart, on a node of eight whole GPUs; the driver that is there where others have GPUs, or real ones."""
    if knows_gpus(cluster):
        install_driver(cluster, f"{TREES}/{FLEET.name}", kubeletPlugin__containers__plugin__metricsPort="9400")
    yield
    remove_driver(cluster)


@pytest.fixture(name="fleet")
def _fleet(cluster: Cluster) -> None:
    """The nodes have the eight GPUs of the fleet and no others."""
    require_fleet(cluster, FLEET.name)


def _gpu(cluster: Cluster, device: str) -> Gpu | None:
    """What the tree states of the GPU of a device; None where no tree does."""
    return GPUS[device] if knows_gpus(cluster) else None


def _expected_nodes(gpu: Gpu) -> dict[str, str]:
    """The nodes and numbers that the tree states for a GPU."""
    (part,) = gpu.partitions
    assert part.render is not None
    assert part.card is not None
    nodes = {f"/dev/{node.path}": f"{node.major}:{node.minor}" for node in (part.render, part.card)}
    return nodes | {"/dev/kfd": f"{FLEET.kfd_major}:0"}


def _check_nodes(report: dict[str, Any], gpu: Gpu | None) -> None:
    """Three nodes, with the tree's numbers if there is one, and the devices cgroup lets each be opened."""
    found = {path: node["number"] for path, node in report["nodes"].items()}
    assert sorted(path.rstrip("0123456789") for path in found) == ["/dev/dri/card", "/dev/dri/renderD", "/dev/kfd"]
    if gpu is not None:
        assert _expected_nodes(gpu) == found
    assert {node["open"] for node in report["nodes"].values()} <= {"opened", "ENXIO"}


@pytest.mark.usefixtures("fleet")
def test_slices_show_every_gpu(cluster: Cluster) -> None:
    """The node publishes its eight GPUs in one slice that belongs to it."""
    (item,) = cluster.get("resourceslices")

    assert list(GPUS) == [device["name"] for device in item["spec"]["devices"]]
    assert item["metadata"]["ownerReferences"][0]["kind"] == "Node"


@pytest.mark.usefixtures("fleet")
def test_metrics_are_served(cluster: Cluster) -> None:
    """The plugin's port tells the eight devices that the node publishes."""
    (pod,) = cluster.get("pods", namespace="amd-gpu")
    text = cluster.kubectl(
        "get", "--raw", f"/api/v1/namespaces/amd-gpu/pods/{pod['metadata']['name']}:9400/proxy/metrics"
    )
    published = [line for line in text.splitlines() if line.startswith("amdgpu_dra_devices_published{")]

    assert sum(float(line.rpartition(" ")[2]) for line in published) == len(GPUS)


def test_one_gpu_in_one_pod(cluster: Cluster, namespace: str) -> None:
    """A container may open the three nodes of its GPU; the number of every other GPU is refused with EPERM."""
    apply_scenario(cluster, namespace, "one-gpu")
    report = read_report(cluster, namespace, "one-gpu")

    (devices,) = allocated_devices(cluster, namespace).values()
    gpu = _gpu(cluster, devices[0])
    _check_nodes(report, gpu)
    (own,) = render_minors(report)
    # Of a node that the probe did not try, no more is known than that it could be opened.
    assert report["made"].pop(str(own), "opened") in {"opened", "ENXIO"}
    assert set(report["made"].values()) == {"EPERM"}
    if gpu is not None:
        assert len(report["made"]) == 7
        assert any(str(gpu.address) in value for value in report["env"].values())


def test_two_pods_two_gpus(cluster: Cluster, namespace: str) -> None:
    """Two pods get different GPUs, each refused the other's; a user that is not root may open its own."""
    apply_scenario(cluster, namespace, "two-pods")
    first, second = (read_report(cluster, namespace, pod) for pod in ("first", "second"))

    names = [names[0] for _, names in sorted(allocated_devices(cluster, namespace).items())]
    assert len(set(names)) == 2
    _check_nodes(first, _gpu(cluster, names[0]))
    _check_nodes(second, _gpu(cluster, names[1]))
    assert second["user"] == 1000
    (theirs,) = render_minors(second)
    assert theirs not in render_minors(first)
    assert first["made"].get(str(theirs), "EPERM") == "EPERM"
    assert second["nodes"][f"/dev/dri/renderD{theirs}"]["open"] in {"opened", "ENXIO"}


def test_one_claim_in_two_containers(cluster: Cluster, namespace: str) -> None:
    """Both containers of a pod that share a claim get the same nodes."""
    apply_scenario(cluster, namespace, "shared-claim")
    one, two = (read_report(cluster, namespace, "shared", container) for container in ("one", "two"))

    gpu = _gpu(cluster, allocated_devices(cluster, namespace)["shared"][0])
    _check_nodes(one, gpu)
    _check_nodes(two, gpu)
    assert one["nodes"] == two["nodes"]


@pytest.mark.usefixtures("fleet")
def test_a_claim_that_cannot_fit_waits(cluster: Cluster, namespace: str) -> None:
    """With seven GPUs held a claim of two stays pending, and gets them when they are freed."""
    apply_scenario(cluster, namespace, "wait-for-gpu")
    cluster.wait_phase(namespace, "holder", "Running")
    apply_scenario(cluster, namespace, "wait-for-gpu-second")

    wait_refused(cluster, namespace, "waiter")
    assert cluster.get("pods", namespace=namespace, name="waiter")["status"]["phase"] == "Pending"
    cluster.kubectl("delete", "pod", "-n", namespace, "holder", "--wait", "--timeout=30s")
    report = read_report(cluster, namespace, "waiter")

    assert len(render_minors(report)) == 2


# Prints how often no registration socket of the driver is there, of 40 looks in about ten seconds.
_WATCH = """\
gaps=0
for _ in $(seq 40); do
  ls /var/lib/kubelet/plugins_registry | grep -q '^gpu.amd.com-.*reg.sock' || gaps=$((gaps + 1))
  sleep 0.25
done
echo $gaps
"""


# An update takes about three.
_WAVES = 20


def _count_gaps(cluster: Cluster, over: Event) -> int:
    gaps = 0
    while not over.is_set():
        gaps += int(cluster.in_node("sh", "-c", _WATCH))
    return gaps


def _come_and_go(cluster: Cluster, namespace: str, wave: int) -> None:
    """Four pods with a GPU each start, and are deleted."""
    names = [f"wave-{wave}-{number}" for number in range(4)]
    cluster.apply("---\n".join(pod_manifest(name, "one-gpu") for name in names), namespace)
    for name in names:
        cluster.wait_phase(namespace, name, "Running")
    cluster.kubectl("delete", "pod", "-n", namespace, *names, "--wait", "--timeout=60s", timeout=70)


def _driver_pods(cluster: Cluster) -> list[tuple[str, bool]]:
    """Names of the driver's pods, and whether they are ready."""
    ready = {"type": "Ready", "status": "True"}
    return [
        (pod["metadata"]["name"], any(ready.items() <= item.items() for item in pod["status"].get("conditions", [])))
        for pod in cluster.get("pods", namespace="amd-gpu")
    ]


@pytest.mark.usefixtures("fleet", "node_access")
def test_an_update_while_pods_come_and_go(cluster: Cluster, namespace: str) -> None:
    """The driver's pod is replaced under load: no Prepare fails, it is never unregistered, and a running pod stays."""
    apply_scenario(cluster, namespace, "one-gpu")
    cluster.wait_phase(namespace, "one-gpu", "Running")
    slices = [(item["metadata"]["uid"], item["spec"]) for item in cluster.get("resourceslices")]
    ((old, _),) = _driver_pods(cluster)
    over = Event()
    with ThreadPoolExecutor() as pool:
        gaps = pool.submit(_count_gaps, cluster, over)
        try:
            _come_and_go(cluster, namespace, 0)
            (name,) = cluster.kubectl("get", "daemonsets", "-n", "amd-gpu", "-o", "name").split()
            cluster.kubectl("rollout", "restart", "-n", "amd-gpu", name)
            wave, pods = 1, _driver_pods(cluster)
            while old in dict(pods) or not all(ready for _, ready in pods):
                _come_and_go(cluster, namespace, wave)
                wave, pods = wave + 1, _driver_pods(cluster)
                assert wave < _WAVES, pods
            _come_and_go(cluster, namespace, wave)
        finally:
            over.set()
    assert gaps.result() == 0
    events = cluster.get("events", namespace=namespace)
    assert [item["message"] for item in events if item["reason"] == "FailedPrepareDynamicResources"] == []
    (status,) = cluster.get("pods", namespace=namespace, name="one-gpu")["status"]["containerStatuses"]
    assert (status["restartCount"], "running" in status["state"]) == (0, True)
    assert slices == [(item["metadata"]["uid"], item["spec"]) for item in cluster.get("resourceslices")]
    sockets = cluster.in_node("find", "/var/lib/kubelet", "-path", "*gpu.amd.com*.sock").split()
    assert len(sockets) == 2

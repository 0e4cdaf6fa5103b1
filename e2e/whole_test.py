"""Whole GPUs on a real cluster: real kubelet, scheduler, API server and container runtime; only the GPUs are fake."""

from collections.abc import Iterator
from typing import Any

import pytest
from harness import (
    TREES,
    Cluster,
    allocated_devices,
    apply_scenario,
    install_driver,
    read_report,
    remove_driver,
    render_minors,
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
    """The chart, on a node of eight whole GPUs."""
    install_driver(cluster, f"{TREES}/{FLEET.name}", kubeletPlugin__containers__plugin__metricsPort="9400")
    yield
    remove_driver(cluster)


def _expected_nodes(gpu: Gpu) -> dict[str, str]:
    """The nodes and numbers that the tree states for a GPU."""
    (part,) = gpu.partitions
    assert part.render is not None
    assert part.card is not None
    nodes = {f"/dev/{node.path}": f"{node.major}:{node.minor}" for node in (part.render, part.card)}
    return nodes | {"/dev/kfd": f"{FLEET.kfd_major}:0"}


def _check_nodes(report: dict[str, Any], gpu: Gpu) -> None:
    """Exactly the three nodes of the GPU, with the tree's numbers, and the devices cgroup lets each be opened."""
    assert _expected_nodes(gpu) == {path: node["number"] for path, node in report["nodes"].items()}
    assert {node["open"] for node in report["nodes"].values()} <= {"opened", "ENXIO"}


def test_slices_show_every_gpu(cluster: Cluster) -> None:
    """The node publishes its eight GPUs in one slice that belongs to it."""
    (item,) = cluster.get("resourceslices")

    assert list(GPUS) == [device["name"] for device in item["spec"]["devices"]]
    assert item["metadata"]["ownerReferences"][0]["kind"] == "Node"


def test_metrics_are_served(cluster: Cluster) -> None:
    """The plugin's port tells the eight devices that the node publishes."""
    (pod,) = cluster.get("pods", namespace="amd-gpu")
    text = cluster.in_node("busybox", "wget", "-qO-", f"http://{pod['status']['podIP']}:9400/metrics")
    published = [line for line in text.splitlines() if line.startswith("amdgpu_dra_devices_published{")]

    assert sum(float(line.rpartition(" ")[2]) for line in published) == len(GPUS)


def test_one_gpu_in_one_pod(cluster: Cluster, namespace: str) -> None:
    """A container may open the three nodes of its GPU; the number of every other GPU is refused with EPERM."""
    apply_scenario(cluster, namespace, "one-gpu")
    report = read_report(cluster, namespace, "one-gpu")

    (devices,) = allocated_devices(cluster, namespace).values()
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
    apply_scenario(cluster, namespace, "two-pods")
    first, second = (read_report(cluster, namespace, pod) for pod in ("first", "second"))

    gpus = [GPUS[names[0]] for _, names in sorted(allocated_devices(cluster, namespace).items())]
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
    apply_scenario(cluster, namespace, "shared-claim")
    one, two = (read_report(cluster, namespace, "shared", container) for container in ("one", "two"))

    gpu = GPUS[allocated_devices(cluster, namespace)["shared"][0]]
    _check_nodes(one, gpu)
    _check_nodes(two, gpu)


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

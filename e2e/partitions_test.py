"""Partitions chosen by the real scheduler, on the fake kernel: each claim brings its GPU into the mode it needs."""

from collections.abc import Iterator

import pytest
from harness import (
    KERNEL_TREE,
    Cluster,
    allocated_devices,
    apply_scenario,
    install_driver,
    install_fake_kernel,
    pod_manifest,
    read_report,
    remove_driver,
    remove_fake_kernel,
    render_minors,
    wait_fake_kernel,
    wait_refused,
)

from amdgpu_dra.edge.faketree import read_fleet

FLEET = read_fleet("mi300x-8-spx")
# In the order of hive, NUMA node and address.
GPUS = [f"gpu-{str(gpu.address).replace(':', '-').replace('.', '-')}" for gpu in FLEET.gpus]
ADMIN_LABEL = "resource.kubernetes.io/admin-access=true"
pytestmark = pytest.mark.usefixtures("driver")


@pytest.fixture(name="driver", scope="module")
def _driver(cluster: Cluster) -> Iterator[None]:
    """The fake kernel as a pod, and the chart with dynamic partitions on its tree."""
    install_fake_kernel(cluster, FLEET.name, delay=0.2)
    install_driver(cluster, KERNEL_TREE, featureGates__DynamicPartitioning="true", kubeletPlugin__repartition="per-gpu")
    yield
    remove_driver(cluster)
    remove_fake_kernel(cluster)


class Pods:
    """Pods with a claim of a template of the scenario, in one namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster, self._namespace = cluster, namespace
        apply_scenario(cluster, namespace, "dynamic-claims")

    def start(self, name: str, template: str) -> None:
        """Makes a pod; it need not run yet."""
        self._cluster.apply(pod_manifest(name, template), self._namespace)

    def minors(self, name: str) -> list[int]:
        """The render nodes that the running pod sees."""
        return render_minors(read_report(self._cluster, self._namespace, name))

    def devices(self, name: str) -> list[str]:
        """What the pod's claim got."""
        found = allocated_devices(self._cluster, self._namespace)
        (devices,) = [devices for claim, devices in found.items() if claim.startswith(f"{name}-gpu-")]
        return devices

    def end(self, name: str) -> None:
        """Deletes a pod, and waits until it is gone."""
        self._cluster.kubectl("delete", "pod", "-n", self._namespace, name, "--wait", "--timeout=60s", timeout=90)


@pytest.fixture(name="pods")
def _pods(cluster: Cluster, namespace: str) -> Pods:
    return Pods(cluster, namespace)


def _first_minor(gpu: int) -> int:
    """The render minor of a GPU's first partition: each GPU has eight (amdgpu_xcp.c)."""
    return 128 + 8 * gpu


def test_candidates_are_published_with_counters(cluster: Cluster) -> None:
    """Fifteen devices a GPU, whole ones first; counter sets in slices of their own; the server keeps them all."""
    items = sorted(cluster.get("resourceslices"), key=lambda item: item["metadata"]["name"])
    devices = [device for item in items for device in item["spec"].get("devices", [])]
    sets = [found for item in items for found in item["spec"].get("sharedCounters", [])]

    assert len(devices) == 8 * 15
    assert [device["name"] for device in devices[:8]] == GPUS
    assert sorted(len(found["counters"]) for found in sets) == [7] * 8
    assert all(device["consumesCounters"] for device in devices)


def test_one_after_another(pods: Pods) -> None:
    """A whole GPU, eight partitions of one GPU, two halves: each container sees its own render nodes and no other."""
    pods.start("whole", "whole")
    assert pods.minors("whole") == [_first_minor(0)]
    assert pods.devices("whole") == [GPUS[0]]
    pods.start("slices", "eight-cpx")
    assert pods.minors("slices") == list(range(_first_minor(7), _first_minor(7) + 8))
    assert pods.devices("slices") == [f"{GPUS[7]}-cpx-{index}" for index in range(8)]
    pods.end("slices")
    pods.start("halves", "two-dpx")
    assert pods.minors("halves") == [_first_minor(7), _first_minor(7) + 1]
    assert pods.devices("halves") == [f"{GPUS[7]}-dpx-{index}" for index in range(2)]


def test_a_request_that_names_no_kind_gets_a_whole_gpu(pods: Pods) -> None:
    """Whole GPUs come first in the slices, so the scheduler takes one; never silently a fraction."""
    pods.start("any", "any")

    assert pods.minors("any") == [_first_minor(0)]
    assert pods.devices("any") == [GPUS[0]]


def test_a_busy_gpu_is_not_switched(cluster: Cluster, namespace: str, pods: Pods) -> None:
    """While partitions of one GPU are used another mode lands on another GPU; with none left it waits for them."""
    pods.start("slices", "two-cpx")
    assert len(pods.minors("slices")) == 2
    pods.start("halves", "two-dpx")
    assert len(pods.minors("halves")) == 2
    assert {name.rpartition("-dpx-")[0] for name in pods.devices("halves")} == {GPUS[6]}
    pods.end("halves")
    pods.start("holder", "seven-whole")
    assert len(pods.minors("holder")) == 7
    pods.start("waiter", "two-dpx")
    wait_refused(cluster, namespace, "waiter")
    pods.end("slices")

    assert pods.minors("waiter") == [_first_minor(7), _first_minor(7) + 1]


def test_monitors_beside_working_claims(cluster: Cluster, namespace: str, pods: Pods) -> None:
    """Admin access sees every GPU, with the nodes that exist when it starts; it is in nobody's way."""
    cluster.kubectl("label", "namespace", namespace, ADMIN_LABEL)
    apply_scenario(cluster, namespace, "monitor-claim")
    pods.start("monitor", "monitor")
    assert {_first_minor(gpu) for gpu in range(8)} <= set(pods.minors("monitor"))
    assert pods.devices("monitor") == GPUS
    pods.start("slices", "two-cpx")
    assert len(pods.minors("slices")) == 2
    pods.start("late-monitor", "late-monitor")
    assert pods.minors("late-monitor") == [_first_minor(gpu) for gpu in range(8)]
    pods.start("halves", "two-dpx")
    assert pods.minors("halves") == [_first_minor(6), _first_minor(6) + 1]


@pytest.mark.usefixtures("node_access")
def test_the_driver_outlives_its_kernel(cluster: Cluster, pods: Pods) -> None:
    """With the fake kernel killed the slices stay; once it is mounted anew claims are prepared again."""
    before = [item["metadata"]["uid"] for item in cluster.get("resourceslices")]
    cluster.in_node("pkill", "-KILL", "-f", "fakegpu mount")
    wait_fake_kernel(cluster)
    pods.start("slices", "two-cpx")

    assert len(pods.minors("slices")) == 2
    assert [item["metadata"]["uid"] for item in cluster.get("resourceslices")] == before

"""What each manifest of docs/examples promises, on nodes of whole GPUs, of both kinds, and of partitions by need."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from harness import (
    KERNEL_TREE,
    TREES,
    Cluster,
    allocated_devices,
    apply_example,
    apply_scenario,
    delete_example,
    install_driver,
    install_fake_kernel,
    pod_manifest,
    read_report,
    remove_driver,
    remove_fake_kernel,
    render_minors,
    wait_refused,
)

NUMA, ROOT = "resource.kubernetes.io/numaNode", "resource.kubernetes.io/pcieRoot"
# Eight GPUs: two on each NUMA node, four below each PCIe root.
WHOLE = "mi250x-8"
# Four in CPX, four whole.
MIXED = "mi300x-8-mixed"
# Eight that the driver cuts by need.
DYNAMIC = "mi300x-8-spx"

on_whole, on_mixed, on_dynamic, with_partitions = (
    pytest.mark.parametrize("node", fleets, indirect=True, scope="module")
    for fleets in ([WHOLE], [MIXED], [DYNAMIC], [MIXED, DYNAMIC])
)
type Devices = Mapping[str, Mapping[str, Any]]


@pytest.fixture(name="node", scope="module")
def _node(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Devices]:
    """The chart on a node of a fleet: device -> attributes, as the node's slices have them."""
    if request.param == DYNAMIC:
        install_fake_kernel(cluster, DYNAMIC, delay=0.2)
        by_need = {"featureGates__DynamicPartitioning": "true", "kubeletPlugin__repartition": "per-gpu"}
        install_driver(cluster, KERNEL_TREE, **by_need)
    else:
        install_driver(cluster, f"{TREES}/{request.param}")
    devices = [device for item in cluster.get("resourceslices") for device in item["spec"].get("devices", [])]
    yield {
        device["name"]: {name: next(iter(value.values())) for name, value in device["attributes"].items()}
        for device in devices
    }
    remove_driver(cluster)
    if request.param == DYNAMIC:
        remove_fake_kernel(cluster)


def _hold(cluster: Cluster, namespace: str, template: str) -> list[str]:
    """Devices that a pod of a template of the scenario holds from now on."""
    apply_scenario(cluster, namespace, "examples-holders")
    cluster.apply(pod_manifest("holder", template), namespace)
    cluster.wait_phase(namespace, "holder", "Running")
    (found,) = allocated_devices(cluster, namespace).values()
    return found


def _got(cluster: Cluster, namespace: str) -> list[str]:
    """The devices of the one claim that is no holder's."""
    claims = allocated_devices(cluster, namespace).items()
    (found,) = [devices for claim, devices in claims if not claim.startswith("holder")]
    return found


def _check_nodes(report: dict[str, Any], devices: int) -> None:
    """A container sees /dev/kfd, card and render node of each device and nothing else; it may open all of them."""
    assert len(report["nodes"]) == 1 + 2 * devices
    assert len(render_minors(report)) == devices
    assert {node["open"] for node in report["nodes"].values()} <= {"opened", "ENXIO"}


@on_whole
def test_one_gpu(cluster: Cluster, namespace: str, node: Devices) -> None:
    """The pod has one whole GPU."""
    apply_example(cluster, namespace, "one-gpu")

    _check_nodes(read_report(cluster, namespace, "one-gpu"), 1)
    assert [node[name]["type"] for name in _got(cluster, namespace)] == ["amdgpu"]


@on_whole
@pytest.mark.usefixtures("node")
def test_shared_by_two_containers(cluster: Cluster, namespace: str) -> None:
    """Both containers see the same one GPU."""
    apply_example(cluster, namespace, "shared-by-two-containers")
    work, watch = (read_report(cluster, namespace, "shared-by-containers", name) for name in ("work", "watch"))

    _check_nodes(work, 1)
    assert work["nodes"] == watch["nodes"]
    assert len(_got(cluster, namespace)) == 1


@on_whole
@pytest.mark.usefixtures("node")
def test_shared_by_two_pods(cluster: Cluster, namespace: str) -> None:
    """Both pods see the same one GPU; it stays the second's when the first is gone."""
    apply_example(cluster, namespace, "shared-by-two-pods")
    first, second = (read_report(cluster, namespace, pod) for pod in ("first", "second"))
    _check_nodes(first, 1)
    assert first["nodes"] == second["nodes"]
    got = _got(cluster, namespace)
    cluster.kubectl("delete", "pod", "-n", namespace, "first", "--wait", "--timeout=60s", timeout=90)

    assert cluster.get("pods", namespace=namespace, name="second")["status"]["phase"] == "Running"
    assert _got(cluster, namespace) == got


@on_whole
@pytest.mark.parametrize(
    ("example", "attribute", "held"), [("numa-pair", NUMA, "hold-one"), ("same-pcie-root", ROOT, "hold-three")]
)
def test_pairs(cluster: Cluster, namespace: str, node: Devices, example: str, attribute: str, held: str) -> None:
    """With one GPU left of the first NUMA node, or root, the pair is of the next one: never one of each."""
    near = {node[name][attribute] for name in _hold(cluster, namespace, held)}
    apply_example(cluster, namespace, example)

    _check_nodes(read_report(cluster, namespace, example), 2)
    (found,) = {node[name][attribute] for name in _got(cluster, namespace)}
    assert near != {found}
    assert len(near) == 1


@on_mixed
@pytest.mark.parametrize(
    ("example", "count", "gpus"), [("partitions-of-one-gpu", 4, 1), ("partitions-of-different-gpus", 2, 2)]
)
def test_partitions(cluster: Cluster, namespace: str, node: Devices, example: str, count: int, gpus: int) -> None:
    """All partitions are cut from one GPU; or each from another, although the first GPU has eight that are free."""
    apply_example(cluster, namespace, example)

    _check_nodes(read_report(cluster, namespace, example), count)
    got = [node[name] for name in _got(cluster, namespace)]
    assert [device["type"] for device in got] == ["amdgpu-partition"] * count
    assert len({device["parentPciBusID"] for device in got}) == gpus


@on_mixed
def test_partition_else_whole_gpu(cluster: Cluster, namespace: str, node: Devices) -> None:
    """While a partition is free the pod gets one; with all of them held it gets a whole GPU."""
    example = "partition-else-whole-gpu"
    apply_example(cluster, namespace, example)
    _check_nodes(read_report(cluster, namespace, example), 1)
    assert [node[name]["type"] for name in _got(cluster, namespace)] == ["amdgpu-partition"]
    delete_example(cluster, namespace, example)

    held = _hold(cluster, namespace, "hold-partitions")
    assert {name for name in node if node[name]["type"] == "amdgpu-partition"} == set(held)
    apply_example(cluster, namespace, example)
    _check_nodes(read_report(cluster, namespace, example), 1)
    assert [node[name]["type"] for name in _got(cluster, namespace)] == ["amdgpu"]


@on_dynamic
@pytest.mark.usefixtures("node_access")
def test_dynamic_partition(cluster: Cluster, namespace: str, node: Devices) -> None:
    """The pod has one of two halves of a GPU that was whole until then."""
    apply_example(cluster, namespace, "dynamic-partition")

    _check_nodes(read_report(cluster, namespace, "dynamic-partition"), 1)
    (got,) = (node[name] for name in _got(cluster, namespace))
    gpu = f"{KERNEL_TREE}/sys/bus/pci/devices/{got['parentPciBusID']}"
    mode = cluster.in_node("cat", f"{gpu}/current_compute_partition")
    assert (got["type"], got["computePartition"], mode.strip()) == ("amdgpu-partition", "dpx", "DPX")


@with_partitions
def test_extended_resource(cluster: Cluster, namespace: str, node: Devices) -> None:
    """`amd.com/gpu: 1` gets a whole GPU: on a node that has partitions too, and where partitions are made by need."""
    assert {device["type"] for device in node.values()} == {"amdgpu", "amdgpu-partition"}
    apply_example(cluster, namespace, "extended-resource")

    _check_nodes(read_report(cluster, namespace, "extended-resource"), 1)
    (got,) = (node[name] for name in _got(cluster, namespace))
    assert (got["type"], got["xccCount"]) == ("amdgpu", 8)


@on_mixed
def test_extended_resource_is_no_partition(cluster: Cluster, namespace: str, node: Devices) -> None:
    """With every whole GPU held and every partition free the pod waits, and gets a whole GPU once there is one."""
    held = _hold(cluster, namespace, "hold-whole")
    assert {name for name in node if node[name]["type"] == "amdgpu"} == set(held)
    apply_example(cluster, namespace, "extended-resource")
    wait_refused(cluster, namespace, "extended-resource")
    assert cluster.get("pods", namespace=namespace, name="extended-resource")["status"]["phase"] == "Pending"
    cluster.kubectl("delete", "pod", "-n", namespace, "holder", "--wait", "--timeout=60s", timeout=90)

    _check_nodes(read_report(cluster, namespace, "extended-resource"), 1)
    assert [node[name]["type"] for name in _got(cluster, namespace)] == ["amdgpu"]

"""A cluster of two nodes with different GPUs: each publishes its own, serves its own, and leaves the other alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import (
    NAMESPACE,
    PLUGIN,
    TREES,
    Cluster,
    Request,
    allocated_devices,
    apply_scenario,
    ask_as_plugin,
    find_plugin_pod,
    install_driver,
    new_slice,
    open_cluster,
    pod_manifest,
    read_report,
    remove_driver,
    render_minors,
    rollback_driver,
    upgrade_driver,
    wait_refused,
)

from amdgpu_dra.apps.cli.__main__ import main
from amdgpu_dra.core.devices import NodeDevice, list_devices
from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.core.gpu import parse
from amdgpu_dra.edge.faketree import read_fleet

IMAGES = ("images/kubelet_plugin/load/tarball.tar",)
FIRST, SECOND = "kind-control-plane", "kind-worker"
# Eight whole MI300X, and 64 partitions of MI350X.
FLEETS = {FIRST: "mi300x-8-spx", SECOND: "mi350x-8-cpx-nps2"}
DEVICES = {node: list_devices(parse(render(read_fleet(fleet)))).devices for node, fleet in FLEETS.items()}
# Template of the scenario -> the one node that can serve it.
ONLY_ON = {"whole-mi300x": FIRST, "partition": SECOND}
VERSIONS = ("v1", "v1beta2", "v1beta1")
FORBIDDEN, CREATED, OK = 403, 201, 200


@pytest.fixture(name="cluster", scope="module")
def _cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Two nodes, each with the tree of its fleet at the same path, and the chart installed once for both."""
    fleets, session = tuple(FLEETS.values()), request.session
    with open_cluster(fleets, IMAGES, failed=lambda: session.testsfailed > 0, node_each=True) as cluster:
        assert cluster.nodes == (FIRST, SECOND)
        install_driver(cluster, TREES)
        yield cluster
        remove_driver(cluster)


@pytest.fixture(name="templates")
def _templates(cluster: Cluster, namespace: str) -> None:
    """The templates of the scenario, in the test's namespace."""
    apply_scenario(cluster, namespace, "two-nodes")


def _slices(cluster: Cluster, node: str) -> list[Any]:
    return sorted(
        (item for item in cluster.get("resourceslices") if item["spec"]["nodeName"] == node),
        key=lambda item: str(item["metadata"]["name"]),
    )


def _written(cluster: Cluster, node: str) -> list[tuple[str, str]]:
    """What changes when somebody writes a slice of this node, or makes it anew."""
    found = [item["metadata"] for item in _slices(cluster, node)]
    return [(metadata["uid"], metadata["resourceVersion"]) for metadata in found]


def _check_served(cluster: Cluster, namespace: str, pod: str, node: str) -> None:
    """The pod runs on the node, with a device of the node's pool and the render node that its tree states for it."""
    report = read_report(cluster, namespace, pod)
    assert cluster.get("pods", namespace=namespace, name=pod)["spec"]["nodeName"] == node
    claims = allocated_devices(cluster, namespace).items()
    ((name,),) = [devices for claim, devices in claims if claim.startswith(f"{pod}-gpu-")]
    (device,) = [device for device in DEVICES[node] if device.name == name]
    assert render_minors(report) == [_minor(device)]


def _minor(device: NodeDevice) -> int:
    assert device.partition.render is not None
    return device.partition.render.minor


def test_each_node_publishes_its_own_gpus(cluster: Cluster) -> None:
    """One chart, the same path on both nodes: each node's slices have the devices of its own tree, in its own pool."""
    for node, devices in DEVICES.items():
        slices = _slices(cluster, node)
        published = [device["name"] for item in slices for device in item["spec"]["devices"]]
        assert published == [device.name for device in devices]
        assert {item["spec"]["pool"]["name"] for item in slices} == {node}
        assert {owner["name"] for item in slices for owner in item["metadata"]["ownerReferences"]} == {node}
    assert len(cluster.get("resourceslices")) == sum(len(_slices(cluster, node)) for node in FLEETS)


@pytest.mark.parametrize(("template", "node"), ONLY_ON.items(), ids=str)
@pytest.mark.usefixtures("templates")
def test_a_claim_goes_to_the_node_that_can_serve_it(cluster: Cluster, namespace: str, template: str, node: str) -> None:
    """The scheduler places the pod on the one node that has such a device, and that node's plugin prepares it."""
    cluster.apply(pod_manifest("work", template), namespace)
    _check_served(cluster, namespace, "work", node)


@pytest.mark.usefixtures("templates")
def test_a_pod_that_is_held_to_the_other_node(
    cluster: Cluster, namespace: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It stays pending; its event says that the claim is in the way, and `explain` says why on each node."""
    pod = yaml.safe_load(pod_manifest("pinned", "partition"))
    pod["spec"]["nodeSelector"] = {"kubernetes.io/hostname": FIRST}
    cluster.apply(yaml.safe_dump(pod), namespace)
    message = wait_refused(cluster, namespace, "pinned")
    assert "1 cannot allocate all claims" in message
    assert "1 node(s) didn't match Pod's node affinity/selector" in message
    assert cluster.get("pods", namespace=namespace, name="pinned")["status"]["phase"] == "Pending"

    def explain(node: str) -> tuple[int, str]:
        files = [f"--claim={tmp_path / 'claim'}", f"--slices={tmp_path / 'slices'}", f"--objects={tmp_path / 'more'}"]
        status = main(["explain", *files, "--node", node])
        return status, capsys.readouterr().out

    for name, kinds in (("claim", "resourceclaims"), ("slices", "resourceslices"), ("more", "deviceclasses,nodes")):
        where = ["-n", namespace] if name == "claim" else []
        (tmp_path / name).write_text(cluster.kubectl("get", kinds, *where, "-o", "json"))
    status, text = explain(FIRST)
    assert status == 1
    assert "fits on none of 1 node (8 devices)" in text
    assert "8 devices on 1 node" in text
    assert "not selected by device.attributes['gpu.amd.com'].?partitionProfile" in text
    status, text = explain(SECOND)
    assert (status, f"on {SECOND} it would get" in text) == (0, True), text


@pytest.mark.parametrize(("node", "other"), [(FIRST, SECOND), (SECOND, FIRST)])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_plugin_may_not_touch_slices_of_the_other_node(cluster: Cluster, version: str, node: str, other: str) -> None:
    """With the token of its own pod, in each version: what is its own node's it may write, what is the other's not."""
    own = ask_as_plugin(cluster, node, *_writes(cluster, version, node))
    others = ask_as_plugin(cluster, node, *_writes(cluster, version, other))

    assert [status for status, _ in own] == [CREATED, OK, OK]
    assert [status for status, _ in others] == [FORBIDDEN] * 3
    expected = f"spec.nodeName: expected {node}, the node of the pod, found {other}"
    assert all(expected in answer["message"] for _, answer in others), others


def _writes(cluster: Cluster, version: str, node: str) -> Iterator[Request]:
    """A slice of the node made, its first slice changed and deleted; as dry runs, in which policies are asked too."""
    path = f"/apis/resource.k8s.io/{version}/resourceslices"
    name = _slices(cluster, node)[0]["metadata"]["name"]
    there = cluster.get(f"resourceslices.{version}.resource.k8s.io", name=name)
    assert there["apiVersion"] == f"resource.k8s.io/{version}"
    there["spec"]["pool"]["generation"] += 1
    yield "POST", f"{path}?dryRun=All", new_slice(version, "new", node)
    yield "PUT", f"{path}/{name}?dryRun=All", there
    yield "DELETE", f"{path}/{name}?dryRun=All", None


@pytest.mark.usefixtures("templates")
def test_a_plugin_that_is_killed(cluster: Cluster, namespace: str) -> None:
    """The first node's plugin is killed: no slice is touched, the second node serves on, and then the first again."""
    before = {node: _written(cluster, node) for node in FLEETS}
    pod = find_plugin_pod(cluster, FIRST)
    cluster.in_node("pkill", "-KILL", "-x", PLUGIN, node=FIRST)
    cluster.apply(pod_manifest("part", "partition"), namespace)
    _check_served(cluster, namespace, "part", SECOND)

    def again() -> bool:
        (status,) = cluster.get("pods", namespace=NAMESPACE, name=pod)["status"]["containerStatuses"]
        return bool(status["restartCount"] > 0 and status["ready"])

    cluster.wait("the plugin to come back", again)
    cluster.apply(pod_manifest("whole", "whole-mi300x"), namespace)
    _check_served(cluster, namespace, "whole", FIRST)
    assert {node: _written(cluster, node) for node in FLEETS} == before


@pytest.mark.usefixtures("templates")
def test_a_node_whose_plugin_is_gone(cluster: Cluster, namespace: str) -> None:
    """Its slices go, those of the other node are not written; what only it can serve waits until it is back."""
    before = _written(cluster, SECOND)
    upgrade_driver(cluster, **{"kubeletPlugin__nodeSelector__kubernetes\\.io/hostname": SECOND})
    # The kubelet deletes them half a minute after the plugin's last connection.
    cluster.wait("the first node's slices to go", lambda: not _slices(cluster, FIRST), seconds=90)
    cluster.apply(pod_manifest("part", "partition"), namespace)
    _check_served(cluster, namespace, "part", SECOND)
    assert _written(cluster, SECOND) == before
    cluster.apply(pod_manifest("whole", "whole-mi300x"), namespace)
    assert "2 cannot allocate all claims" in wait_refused(cluster, namespace, "whole")

    rollback_driver(cluster)
    _check_served(cluster, namespace, "whole", FIRST)
    assert _written(cluster, SECOND) == before

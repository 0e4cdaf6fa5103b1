"""The chart's life in a cluster: installed with the webhook, tested, upgraded, rolled back, and gone again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import (
    TREES,
    Cluster,
    ask_as_plugin,
    install_driver,
    load_image,
    new_slice,
    rollback_driver,
    run_chart_test,
    upgrade_driver,
)

NAMESPACE = "amd-gpu"
WEBHOOK = {
    "webhook__enabled": "true",
    "webhook__replicas": "1",
    "webhook__image__repository": "localhost/amdgpu-dra/webhook",
}
# They come and go by themselves.
_PASSING = {"events", "events.events.k8s.io", "leases.coordination.k8s.io", "endpointslices.discovery.k8s.io"}


def _everything(cluster: Cluster) -> set[str]:
    """Namespace and name of every object of the cluster, but for those that come and go by themselves."""
    kinds = set(cluster.kubectl("api-resources", "--verbs=list", "-o", "name").split()) - _PASSING
    columns = "jsonpath={range .items[*]}{.kind}/{.metadata.namespace}/{.metadata.name}{'\\n'}{end}"
    return set(cluster.kubectl("get", ",".join(sorted(kinds)), "-A", "-o", columns).split())


@pytest.fixture(name="empty")
def _empty(cluster: Cluster) -> Iterator[set[str]]:
    """The namespace of the driver with nothing in it; what there is in the cluster before the test."""
    if not cluster.get("namespaces", name=NAMESPACE):
        cluster.make_namespace(NAMESPACE)
    load_image(cluster, Path("images/webhook/load/tarball.tar").resolve())
    before = _everything(cluster)
    yield before
    cluster.uninstall(NAMESPACE)
    assert cluster.in_node("find", "/var/run/cdi", "-name", "*amd*") == ""
    # The kubelet takes the slices away, 30 s after the plugin; the owner of the certificate's Secret is gone.
    cluster.wait("nothing to be left of the chart", lambda: not _everything(cluster) - before, seconds=90)


def _variables(cluster: Cluster) -> dict[str, str]:
    (daemonset,) = cluster.get("daemonsets", namespace=NAMESPACE)
    (container,) = daemonset["spec"]["template"]["spec"]["containers"]
    return {item["name"]: item.get("value", "") for item in container["env"]}


def _write_as_plugin(cluster: Cluster, node: str, of_node: str) -> tuple[int, str]:
    """What the API server says when the plugin of a node writes a slice of this or another node."""
    path = "/apis/resource.k8s.io/v1/resourceslices?dryRun=All"
    ((status, body),) = ask_as_plugin(cluster, node, ("POST", path, new_slice("v1", "written-by-hand", of_node)))
    return status, body.get("message", "")


def _classes(cluster: Cluster) -> set[str]:
    return {item["metadata"]["name"] for item in cluster.get("deviceclasses")}


def test_install_upgrade_rollback_and_uninstall(cluster: Cluster, empty: set[str]) -> None:
    """Each step changes what its values say; slices stay; `helm test` runs a claim; nothing is left at the end."""
    install_driver(cluster, f"{TREES}/mi300x-8-spx", **WEBHOOK)
    run_chart_test(cluster)
    slices = _slices(cluster)
    node = slices[0]["spec"]["nodeName"]
    assert "cpx.gpu.amd.com" not in _classes(cluster)

    upgrade_driver(
        cluster, kubeletPlugin__containers__plugin__metricsPort="9400", deviceClass__modes__cpx__create="true"
    )
    assert _variables(cluster)["METRICS_PORT"] == "9400"
    assert "cpx.gpu.amd.com" in _classes(cluster)
    run_chart_test(cluster)

    assert _write_as_plugin(cluster, node, node) == (201, "")
    status, message = _write_as_plugin(cluster, node, "another-node")
    assert status == 403  # Forbidden
    assert f"spec.nodeName: expected {node}, the node of the pod, found another-node" in message

    rollback_driver(cluster)
    assert _variables(cluster)["METRICS_PORT"] == "-1"
    assert "cpx.gpu.amd.com" not in _classes(cluster)
    run_chart_test(cluster)
    assert [item["metadata"]["uid"] for item in _slices(cluster)] == [item["metadata"]["uid"] for item in slices]
    assert len(_everything(cluster)) > len(empty)


def _slices(cluster: Cluster) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cluster.get("resourceslices")
    return found

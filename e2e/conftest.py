"""One cluster for all files of scenarios, and a namespace for each test."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import GIVEN, Cluster, open_cluster

SCENARIOS = Path("e2e/scenarios")
FLEETS = ("mi300x-8-spx", "mi300x-8-mixed", "mi250x-8")
IMAGES = ("images/kubelet_plugin/load/tarball.tar", "images/fakegpu/load/tarball.tar")


@pytest.fixture(name="cluster", scope="session")
def _cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A kind cluster with our images loaded, its node with a tree of each fleet; or the one that pytest was given."""
    if (given := request.config.stash.get(GIVEN, None)) is not None:
        yield given
        return
    with open_cluster(FLEETS, IMAGES, failed=lambda: request.session.testsfailed > 0) as cluster:
        yield cluster


@pytest.fixture(name="node_access", scope="session")
def _node_access(cluster: Cluster) -> None:
    """Commands can be run in the cluster's node."""
    if not cluster.has_nodes:
        pytest.skip("runs commands in the node, and the nodes of the cluster that KUBECONFIG names cannot be entered")


@pytest.fixture(name="namespace")
def _namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace for one test. When its pods are gone, nothing of its claims may be left on nodes or API server."""
    name = re.sub("[^a-z0-9]+", "-", request.node.name).removeprefix("test-")[:63].rstrip("-")
    cluster.make_namespace(name)
    cluster.apply((SCENARIOS / "probe.yaml").read_text(), name)
    yield name
    # The end of a namespace is not waited for: its controller begins after five seconds, and goes on with nothing left.
    cluster.kubectl("delete", "pods,resourceclaims", "--all", "-n", name, "--wait", "--timeout=60s", timeout=90)
    cluster.kubectl("delete", "namespace", name, "--wait=false")
    assert cluster.get("resourceclaims", namespace=name) == []
    for node in cluster.nodes if cluster.has_nodes else ():
        folders = ("/var/run/cdi", "/var/lib/kubelet/plugins/gpu.amd.com/claims")
        assert cluster.in_node("find", *folders, "-name", "*.json", node=node) == ""

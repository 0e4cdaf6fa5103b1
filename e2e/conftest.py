"""One cluster for all files of scenarios, and a namespace for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import GIVEN, Cluster, open_cluster

SCENARIOS = Path("e2e/scenarios")
FLEETS = ("mi300x-8-spx", "mi300x-8-mixed")
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
    """A namespace for one test. When it is gone, nothing of its claims may be left on node or API server."""
    name = request.node.name.replace("_", "-").removeprefix("test-")[:40].rstrip("-")
    cluster.make_namespace(name)
    cluster.apply((SCENARIOS / "probe.yaml").read_text(), name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait", "--timeout=60s", timeout=90)
    assert cluster.get("resourceclaims", namespace=name) == []
    if not cluster.has_nodes:
        return
    left = cluster.in_node("find", "/var/run/cdi", "/var/lib/kubelet/plugins/gpu.amd.com/claims", "-name", "*.json")
    assert left == ""

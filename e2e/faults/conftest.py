"""One cluster for all faults, with the driver on a node of eight whole GPUs, and a namespace for each test."""

from collections.abc import Iterator

import pytest
from harness import TREES, Cluster, find_left_over, install_driver, open_cluster, prepare_load, read_devices

FLEET = "mi300x-8-spx"
IMAGES = ("images/kubelet_plugin/load/tarball.tar",)


@pytest.fixture(name="cluster", scope="session")
def _cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A cluster whose node can be mistreated."""
    with open_cluster((FLEET,), IMAGES, failed=lambda: request.session.testsfailed > 0, for_faults=True) as cluster:
        install_driver(cluster, f"{TREES}/{FLEET}")
        yield cluster


@pytest.fixture(name="namespace")
def _namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace for one test's pods. When they are gone, nothing of them may be left on node or API server."""
    name = request.node.name.replace("_", "-").removeprefix("test-")[:40].rstrip("-")
    before = read_devices(cluster)
    prepare_load(cluster, name)
    yield name
    cluster.kubectl("delete", "pods,resourceclaims", "--all", "-n", name, "--wait", "--timeout=90s", timeout=100)
    assert find_left_over(cluster, name, before) == []

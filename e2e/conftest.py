"""One cluster for all files of scenarios, and a namespace for each test."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Cluster, find_pieces, load_image, logs_folder, make_host

from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.edge.faketree import read_fleet, write_tree

SCENARIOS = Path("e2e/scenarios")
FLEETS = ("mi300x-8-spx", "mi300x-8-mixed")
IMAGES = ("images/kubelet_plugin/load/tarball.tar", "images/fakegpu/load/tarball.tar")


@pytest.fixture(name="cluster", scope="session")
def _cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A kind cluster with our images loaded; its node has a tree of each fleet below /fake-gpu."""
    pieces = find_pieces()
    base = Path(os.environ["AMDGPU_DRA_CACHE"]) / "e2e"
    with tempfile.TemporaryDirectory(prefix="run-", dir=base, ignore_cleanup_errors=True) as folder:
        work = Path(folder)
        for fleet in FLEETS:
            (work / "trees" / fleet).mkdir(parents=True)
            write_tree(render(read_fleet(fleet)), work / "trees" / fleet, nodes=True)
        host = make_host(pieces, work)
        cluster = Cluster(host, pieces)
        try:
            cluster.create(work / "trees")
            for image in IMAGES:
                load_image(cluster, Path(image).resolve())
            yield cluster
            if request.session.testsfailed == 0:
                cluster.delete()
        finally:
            if request.session.testsfailed or "CI_KEEP_LOGS" in os.environ:
                cluster.keep_logs(logs_folder(base))
            host.stop()


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

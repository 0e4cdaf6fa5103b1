"""The fake kernel in a cluster: a pod that mounts a tree on the node, and the lines that it is told."""

from pathlib import Path

from harness.cluster import Cluster
from harness.driver import KERNEL_TREE, require_fleet

_MANIFEST = Path("e2e/fakegpu/daemonset.yaml")
KERNEL_NAMESPACE = "fake-gpu"
KERNEL_IMAGE = "localhost/amdgpu-dra/fakegpu:dev"


def install_fake_kernel(cluster: Cluster, fleet: str, *, delay: float) -> None:
    """Starts it on every node with a bundled fleet; returns when its tree is mounted. One that is there stays."""
    if cluster.installed is not None:
        require_fleet(cluster, fleet, kernel=True)
        return
    start_fake_kernel(cluster, fleet, delay=delay)


def start_fake_kernel(cluster: Cluster, fleet: str, *, delay: float, image: str = "") -> None:
    """The same where it is not yet; `image` instead of this build's."""
    manifest = _MANIFEST.read_text().replace("mi300x-8-spx", fleet).replace('"1"', f'"{delay}"')
    cluster.apply(manifest.replace(KERNEL_IMAGE, image or KERNEL_IMAGE), KERNEL_NAMESPACE)
    cluster.kubectl("rollout", "status", "-n", KERNEL_NAMESPACE, "daemonset/fakegpu", "--timeout=90s", timeout=100)


def wait_fake_kernel(cluster: Cluster) -> None:
    """Waits until it has started once more and answers again."""

    def again() -> bool:
        (pod,) = cluster.get("pods", namespace=KERNEL_NAMESPACE)
        (status,) = pod["status"]["containerStatuses"]
        return bool(status["restartCount"] > 0 and status["ready"])

    cluster.wait("the fake kernel to come back", again)


def tell_fake_kernel(cluster: Cluster, line: str) -> str:
    """Sends a control line to the one that runs; its answer."""
    command = ["fakegpu", "control", "--at", KERNEL_TREE, *line.split()]
    return cluster.kubectl("exec", "-n", KERNEL_NAMESPACE, "daemonset/fakegpu", "--", *command).strip()


def remove_fake_kernel(cluster: Cluster) -> None:
    """Ends it; its mount may not be left on the node. One that was there before the tests stays."""
    if cluster.installed is not None:
        return
    stop_fake_kernel(cluster)
    assert KERNEL_TREE not in cluster.in_node("cat", "/proc/mounts")


def stop_fake_kernel(cluster: Cluster) -> None:
    """Ends it."""
    cluster.kubectl("delete", "namespace", KERNEL_NAMESPACE, "--wait", "--timeout=60s", timeout=90)

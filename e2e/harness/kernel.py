"""The fake kernel in a cluster: a pod that mounts a tree on the node, and the lines that it is told."""

from pathlib import Path

from harness.cluster import Cluster

KERNEL_TREE = "/var/lib/fake-gpu"
_MANIFEST = Path("e2e/fakegpu/daemonset.yaml")
_NAMESPACE = "fake-gpu"


def install_fake_kernel(cluster: Cluster, fleet: str, *, delay: float) -> None:
    """Starts it on every node with a bundled fleet; returns when its tree is mounted."""
    manifest = _MANIFEST.read_text().replace("mi300x-8-spx", fleet).replace('"1"', f'"{delay}"')
    cluster.apply(manifest, _NAMESPACE)
    cluster.kubectl("rollout", "status", "-n", _NAMESPACE, "daemonset/fakegpu", "--timeout=90s", timeout=100)


def wait_fake_kernel(cluster: Cluster) -> None:
    """Waits until it has started once more and answers again."""

    def again() -> bool:
        (pod,) = cluster.get("pods", namespace=_NAMESPACE)
        (status,) = pod["status"]["containerStatuses"]
        return bool(status["restartCount"] > 0 and status["ready"])

    cluster.wait("the fake kernel to come back", again)


def tell_fake_kernel(cluster: Cluster, line: str) -> str:
    """Sends a control line to the one that runs; its answer."""
    command = ["fakegpu", "control", "--at", KERNEL_TREE, *line.split()]
    return cluster.kubectl("exec", "-n", _NAMESPACE, "daemonset/fakegpu", "--", *command).strip()


def remove_fake_kernel(cluster: Cluster) -> None:
    """Ends it; its mount may not be left on the node."""
    cluster.kubectl("delete", "namespace", _NAMESPACE, "--wait", "--timeout=60s", timeout=90)
    assert KERNEL_TREE not in cluster.in_node("cat", "/proc/mounts")

"""What happens to a node, one function for each fault; a table of times and faults is a programme.

Knows how a fault is done from outside of the driver. Refuses to know what the driver makes of it.
"""

import time
from collections.abc import Callable, Mapping

from harness.cluster import Cluster
from harness.driver import NAMESPACE, PLUGIN_FOLDER
from harness.host import CommandError

# As the kernel shows it: 15 bytes.
PLUGIN = "gpu-kubeletplug"
_FILL = f"{PLUGIN_FOLDER}/fill"


def kill(cluster: Cluster, program: str) -> str:
    """SIGKILL to every process of a program in the node, once there is one; gives their ids."""
    return cluster.wait(f"a process {program} to kill", lambda: _kill(cluster, program))


def _kill(cluster: Cluster, program: str) -> str:
    try:
        return cluster.in_node("sh", "-c", f"pids=$(pgrep -x {program}) && kill -KILL $pids && echo $pids").strip()
    except CommandError:
        return ""


def kill_plugin(cluster: Cluster) -> None:
    """The plugin's process. Its log is searched before: the kubelet keeps that of one container that has ended."""
    check_plugin_log(cluster)
    kill(cluster, PLUGIN)


def kill_kubelet(cluster: Cluster) -> None:
    """The node's first process starts it again; at its start it deletes every slice of the node."""
    kill(cluster, "kubelet")


def kill_containerd(cluster: Cluster) -> None:
    """Containers go on; the node's first process starts it again."""
    kill(cluster, "containerd")


def pause_api(cluster: Cluster) -> None:
    """The API server takes connections and answers nothing, which is worse for a client than being refused."""
    wait_rollout(cluster)
    cluster.in_node("pkill", "-STOP", "-x", "kube-apiserver")


def resume_api(cluster: Cluster) -> None:
    """The API server goes on."""
    cluster.in_node("pkill", "-CONT", "-x", "kube-apiserver")
    wait_api(cluster)


def wait_api(cluster: Cluster) -> None:
    """Waits until the API server is ready."""
    cluster.wait("the API server", lambda: _is_ready(cluster), seconds=150)


def _is_ready(cluster: Cluster) -> bool:
    try:
        return cluster.kubectl("get", "--raw", "/readyz", "--request-timeout=3s", timeout=10) == "ok"
    except CommandError:
        return False


def fill_disk(cluster: Cluster) -> None:
    """The disk of the plugin's folder has not a byte left."""
    cluster.in_node("sh", "-c", f"dd if=/dev/zero of={_FILL} bs=4k 2>/dev/null; exit 0")
    free = cluster.in_node("df", "--output=avail", PLUGIN_FOLDER).split()[-1]
    assert free == "0", f"{free} KiB are free on {PLUGIN_FOLDER}"


def free_disk(cluster: Cluster) -> None:
    """It has room again."""
    cluster.in_node("rm", _FILL)


def roll(cluster: Cluster) -> None:
    """A rolling update of the plugin: another pod takes over, in the way that the chart says."""
    check_plugin_log(cluster)
    cluster.kubectl("rollout", "restart", "daemonset", "-n", NAMESPACE)
    wait_rollout(cluster)


def wait_rollout(cluster: Cluster) -> None:
    """Waits until the DaemonSet's pods are those of its template, and ready."""
    names = cluster.kubectl("get", "daemonsets", "-n", NAMESPACE, "-o", "name").split()
    cluster.kubectl("rollout", "status", "-n", NAMESPACE, "--timeout=120s", *names, timeout=130)


def reboot(cluster: Cluster) -> None:
    """Every process of the node ends, /run is wiped with the CDI folder in it, and the node starts again."""
    cluster.restart_node()
    left = cluster.in_node("find", "/var/run/cdi", "-name", "*.json") if _has_cdi(cluster) else ""
    assert left == "", f"a restart of the node left {left}"
    wait_api(cluster)


def _has_cdi(cluster: Cluster) -> bool:
    return "cdi" in cluster.in_node("ls", "/var/run").split()


def check_plugin_log(cluster: Cluster) -> None:
    """No traceback and no internal error in the logs that the node has of the plugin's containers."""
    pattern = "-e Traceback -e 'internal error' -e 'never retrieved'"
    logs = f"/var/log/pods/{NAMESPACE}_*/plugin/*.log"
    found = cluster.in_node("sh", "-c", f"grep -h -A 30 {pattern} {logs} || true")
    assert not found, found[-6000:]


FAULTS: Mapping[str, Callable[[Cluster], None]] = {
    "plugin killed": kill_plugin,
    "kubelet killed": kill_kubelet,
    "containerd killed": kill_containerd,
    "API server paused": pause_api,
    "API server resumed": resume_api,
    "disk full": fill_disk,
    "disk freed": free_disk,
    "rolling update": roll,
    "reboot": reboot,
}
# Seconds of load, and what happens after them. They count from the end of what happened before: a slow machine gets the
# same faults and no heap of them. A kubelet that starts while the API server is away knows no pods, ours neither.
ROUND: tuple[tuple[float, str], ...] = (
    (4, "plugin killed"),
    (5, "containerd killed"),
    (5, "plugin killed"),
    (5, "kubelet killed"),
    (8, "plugin killed"),
    (4, "rolling update"),
    (4, "plugin killed"),
    (4, "disk full"),
    (4, "plugin killed"),
    (5, "disk freed"),
    (3, "containerd killed"),
    (3, "kubelet killed"),
    (10, "API server paused"),
    (8, "plugin killed"),
    (12, "API server resumed"),
    (5, "reboot"),
)
_AFTER = 10.0


def run_round(cluster: Cluster, tell: Callable[[str], None]) -> list[str]:
    """Carries out one round of faults, and some seconds after them; the faults that happened."""
    start = time.monotonic()
    for pause, name in ROUND:
        time.sleep(pause)
        FAULTS[name](cluster)
        tell(f"{time.monotonic() - start:5.1f} s  {name}")
    time.sleep(_AFTER)
    return [name for _, name in ROUND]

"""What happens to a node, one function for each fault; a table of times and faults is a programme.

Knows how a fault is done from outside of the driver. Refuses to know what the driver makes of it.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from harness.cluster import KEEP_LOGS, KEPT_LOGS, Cluster
from harness.driver import NAMESPACE, PLUGIN_FOLDER
from harness.host import CommandError

# As the kernel shows it: 15 bytes.
PLUGIN = "gpu-kubeletplug"
PAUSED, RESUMED, REBOOT = "API server paused", "API server resumed", "reboot"
_FILL = f"{PLUGIN_FOLDER}/fill"
_MARK = "/var/run/cdi/before-the-reboot"
_CREDENTIALS = "/var/run/secrets/kubernetes.io/serviceaccount"


def kill(cluster: Cluster, program: str) -> str:
    """SIGKILL to every process of a program in the node, once there is one; gives their ids."""
    return cluster.wait(f"a process {program} to kill", lambda: _kill(cluster, program))


def _kill(cluster: Cluster, program: str) -> str:
    try:
        return cluster.in_node("sh", "-c", f"pids=$(pgrep -x {program}) && kill -KILL $pids && echo $pids").strip()
    except CommandError:
        return ""


def kill_plugin(cluster: Cluster) -> None:
    """The plugin's process, after a look at its log."""
    check_plugin_log(cluster)
    kill(cluster, PLUGIN)


def kill_kubelet(cluster: Cluster) -> None:
    """The node's first process starts it again; at its start it deletes every slice of the node."""
    kill(cluster, "kubelet")


def kill_containerd(cluster: Cluster) -> None:
    """Containers go on; the node's first process starts it again."""
    kill(cluster, "containerd")


def pause_api(cluster: Cluster) -> None:
    """The API server takes connections and answers nothing, which is worse for a client than being refused.

    A kubelet that has not read its pods since its start would start no killed plugin until the API server is back: it
    is given the time to.
    """
    wait_rollout(cluster)
    cluster.wait("the kubelet to have a token for the plugin", lambda: _has_token(cluster))
    cluster.in_node("pkill", "-STOP", "-x", "kube-apiserver")


def _has_token(cluster: Cluster) -> bool:
    """Whether the kubelet that runs has fetched the token of the plugin's pod, and with it all that the pod needs."""
    script = f"""
        started=$(($(date +%s) - $(ps -o etimes= -p "$(pgrep -x kubelet)"))) && pid=$(pgrep -x {PLUGIN}) || exit 0
        [ "$(stat -c %Z /proc/$pid/root{_CREDENTIALS}/..data)" -le "$started" ] || echo yes
    """
    return "yes" in cluster.in_node("sh", "-c", script)


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
    """The disk of the plugin's folder has not a byte left; what a claim that ends leaves free is filled too."""
    cluster.wait(f"a full disk at {PLUGIN_FOLDER}", lambda: _fill(cluster))


def _fill(cluster: Cluster) -> bool:
    fill = f"dd if=/dev/zero of={_FILL} bs=4k oflag=append conv=notrunc 2> /dev/null"
    return cluster.in_node("sh", "-c", f"{fill}; df --output=avail {PLUGIN_FOLDER}").split()[-1] == "0"


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
    cluster.in_node("touch", _MARK)
    cluster.restart_node()
    left = cluster.in_node("sh", "-c", f"ls {_MARK} 2> /dev/null || true")
    assert left == "", f"a restart of the node left {left}"
    wait_api(cluster)


def check_plugin_log(cluster: Cluster) -> None:
    """No traceback and no internal error in the logs of the plugin's containers, which are kept from here on.

    The kubelet itself keeps those of the last container alone.
    """
    pattern = "-e Traceback -e 'internal error' -e 'never retrieved'"
    found = cluster.in_node("sh", "-c", f"{KEEP_LOGS}; grep -rh -A 30 {pattern} {KEPT_LOGS} || true")
    assert not found, found[-6000:]


FAULTS: Mapping[str, Callable[[Cluster], None]] = {
    "plugin killed": kill_plugin,
    "kubelet killed": kill_kubelet,
    "containerd killed": kill_containerd,
    PAUSED: pause_api,
    RESUMED: resume_api,
    "disk full": fill_disk,
    "disk freed": free_disk,
    "rolling update": roll,
    REBOOT: reboot,
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
    (10, PAUSED),
    (8, "plugin killed"),
    (12, RESUMED),
    (5, REBOOT),
)
_AFTER = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """A fault that was done, from when to when: seconds since 1970 by the clock of the node, as in reports."""

    fault: str
    start: float
    end: float


def run_round(cluster: Cluster, tell: Callable[[str], None]) -> list[Happened]:
    """Carries out one round of faults, and some seconds after them; the faults that happened."""
    found: list[Happened] = []
    for pause, name in ROUND:
        time.sleep(pause)
        start = _read_clock(cluster)
        FAULTS[name](cluster)
        found.append(Happened(fault=name, start=start, end=_read_clock(cluster)))
        tell(f"{start - found[0].start:5.1f} s  {name}, for {found[-1].end - start:.1f} s")
    time.sleep(_AFTER)
    return found


def _read_clock(cluster: Cluster) -> float:
    return float(cluster.in_node("date", "+%s.%N"))

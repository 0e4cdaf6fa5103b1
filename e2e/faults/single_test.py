"""One fault each, and what a user sees of it."""

import time
from collections.abc import Callable
from typing import Any

from harness import (
    PLUGIN,
    PLUGIN_FOLDER,
    Cluster,
    Entry,
    Hold,
    fill_disk,
    free_disk,
    kill,
    make_manifest,
    pause_api,
    read_devices,
    read_reports,
    resume_api,
)

# The flag __SO_ACCEPTCON in /proc/net/unix.
_LISTENS = "00010000"


def _start(cluster: Cluster, namespace: str, name: str) -> None:
    """Makes a pod that holds a GPU until it is deleted; it need not run yet."""
    entry = Entry(name=name, long=True, template="one", gpus=1)
    cluster.apply(make_manifest(entry), namespace)


def _holds(cluster: Cluster, pod: str) -> list[Hold]:
    return [hold for hold in read_reports(cluster) if hold.pod == pod]


def _await_hold(cluster: Cluster, pod: str, starts: int = 1) -> Hold:
    """Waits until a pod's container has started so often; its last start."""
    return cluster.wait(f"start {starts} of {pod}", lambda: _holds(cluster, pod)[starts - 1 :], seconds=90)[-1]


def _end(cluster: Cluster, namespace: str, pod: str) -> None:
    cluster.kubectl("delete", "pod", "-n", namespace, pod, "--wait", "--timeout=90s", timeout=100)


def _records(cluster: Cluster) -> list[str]:
    """Files of claims on the node: records and CDI documents, finished or not."""
    return cluster.in_node("find", "/var/run/cdi", f"{PLUGIN_FOLDER}/claims", "-type", "f").split()


def test_plugin_killed_with_a_running_pod(cluster: Cluster, namespace: str) -> None:
    """The pod goes on with its GPU, and its deletion while the plugin is away ends as soon as that is back."""
    _start(cluster, namespace, "work")
    before = _await_hold(cluster, "work")
    kill(cluster, PLUGIN)
    _end(cluster, namespace, "work")
    (after,) = _holds(cluster, "work")

    assert (after.start, after.minors, after.ended) == (before.start, before.minors, True)


def _refusal(cluster: Cluster, namespace: str, pod: str, reason: str) -> Callable[[], str]:
    """Gives the message of an Event of a pod, once there is one."""

    def look() -> str:
        found = [
            event["message"]
            for event in cluster.get("events", namespace=namespace)
            if event["reason"] == reason and event["involvedObject"]["name"] == pod
        ]
        return found[-1] if found else ""

    return look


def test_disk_full(cluster: Cluster, namespace: str) -> None:
    """A claim is refused with what is full and where, nothing of it is kept; with room the next is prepared."""
    _start(cluster, namespace, "before")
    _await_hold(cluster, "before")
    kept = _records(cluster)
    fill_disk(cluster)
    try:
        _start(cluster, namespace, "during")
        look = _refusal(cluster, namespace, "during", "FailedPrepareDynamicResources")
        message = cluster.wait("the refusal", look)
        assert _records(cluster) == kept
        # The kubelet would try it again after 60 to 90 s.
        _end(cluster, namespace, "during")
    finally:
        free_disk(cluster)
    _start(cluster, namespace, "after")
    _await_hold(cluster, "after")

    assert "No space left on device" in message
    assert f"{PLUGIN_FOLDER}/claims" in message
    (hold,) = _holds(cluster, "before")
    assert time.time() - hold.last < 10
    assert len(_records(cluster)) == 2 * len(kept)


def test_pod_deleted_while_the_disk_is_full(cluster: Cluster, namespace: str) -> None:
    """A full disk keeps no pod from ending, since ending one needs no more room than its start did."""
    _start(cluster, namespace, "work")
    _await_hold(cluster, "work")
    fill_disk(cluster)
    try:
        _end(cluster, namespace, "work")
        assert _records(cluster) == []
    finally:
        free_disk(cluster)


def test_container_restarts_without_the_api_server(cluster: Cluster, namespace: str) -> None:
    """A container whose claim is prepared starts again with the same GPU without API server, its plugin killed too."""
    devices = read_devices(cluster)
    _start(cluster, namespace, "work")
    first = _await_hold(cluster, "work")
    pause_api(cluster)
    try:
        kill(cluster, PLUGIN)
        cluster.in_node("pkill", "-KILL", "-f", "^python3[.]13 -I /program/soak[.]py")
        second = _await_hold(cluster, "work", 2)
        cluster.wait("the plugin without an API server", lambda: _is_serving(cluster))
    finally:
        resume_api(cluster)
    _end(cluster, namespace, "work")

    assert first.minors == second.minors
    assert read_devices(cluster) == devices


def _is_serving(cluster: Cluster) -> bool:
    """Whether the plugin that runs listens in its folder.

    The kernel lists a socket in the network namespace of its maker, by the name that it had before it was put in place.
    """
    rows = cluster.in_node("sh", "-c", f"pid=$(pgrep -x {PLUGIN}) && cat /proc/$pid/net/unix || true").splitlines()
    return any(f" {_LISTENS} " in row and f" {PLUGIN_FOLDER}/" in row for row in rows)


def _health(cluster: Cluster, namespace: str, pod: str) -> dict[str, Any]:
    """What the pod's status says of its GPU."""
    status = cluster.get("pods", namespace=namespace, name=pod)["status"]["containerStatuses"][0]
    found = [item for claim in status.get("allocatedResourcesStatus", []) for item in claim["resources"]]
    return found[0] if found else {}


def test_health_of_a_gpu_in_a_pods_status(cluster: Cluster, namespace: str) -> None:
    """The pod's status says Healthy, Unhealthy with the reason once its GPU has gone, and Healthy when it is back."""
    _start(cluster, namespace, "work")
    _await_hold(cluster, "work")

    def wait_health(wanted: str) -> dict[str, Any]:
        def look() -> dict[str, Any]:
            found = _health(cluster, namespace, "work")
            return found if found.get("health") == wanted else {}

        return cluster.wait(f"health {wanted}", look, seconds=60)

    wait_health("Healthy")
    (claim,) = cluster.get("resourceclaims", namespace=namespace)
    (device,) = claim["status"]["allocation"]["devices"]["results"]
    domain, bus, slot, function = device["device"].split("-")[1:5]
    folder = cluster.host.work / "trees" / "mi300x-8-spx/sys/bus/pci/devices" / f"{domain}:{bus}:{slot}.{function}"
    away = folder.with_name(f"gone-{folder.name}")
    folder.rename(away)
    try:
        gone = wait_health("Unhealthy")
    finally:
        away.rename(folder)
    wait_health("Healthy")

    assert gone["message"]

"""The image where AMD's GPU Operator runs AMD's: its DaemonSet's command, arguments, environment and mounts."""

import json
import os
import stat
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from layout import Layout

from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.edge.certificates import make_pair
from amdgpu_dra.edge.faketree import read_fleet, write_tree

IMAGE = Layout("images/kubelet_plugin/image")
DAEMONSET = Path("images/kubelet_plugin/testdata/operator-daemonset.yaml")
# As a pod has it; nobody serves there, and the plugin waits.
CLUSTER = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "9"}
FIELDS = {"spec.nodeName": "node-a", "metadata.namespace": "kube-amd-gpu"}
# spec.draDriver.cmdLineArguments -> the operator's arguments.
GIVEN = {"v": "4", "logging-format": "json", "healthcheck-port": "-1", "feature-gates": "ContextualLogging=true"}
# Mounts a node's folders, as a container runtime does, and changes the root.
START = """
set -e
root=$1; shift
while [ "$1" != -- ]; do mkdir -p "$root$2"; mount --rbind "$1" "$root$2"; shift 2; done
shift
exec chroot "$root" "$@"
"""


@pytest.fixture(name="node")
def _node(tmp_path: Path) -> Path:
    """A node's root with eight GPUs, and what the kubelet has there."""
    if os.geteuid() != 0:
        pytest.skip("changing the root needs root")
    node = tmp_path / "node"
    node.mkdir()
    write_tree(render(read_fleet("mi300x-8-spx")), node, nodes=True)
    os.mknod(node / "dev/urandom", 0o666 | stat.S_IFCHR, os.makedev(1, 9))
    for folder in ("var/lib/kubelet/plugins_registry", "var/lib/kubelet/plugins", "var/run/cdi", "lib/modules"):
        (node / folder).mkdir(parents=True)
    account = node / "account"
    account.mkdir()
    authority = make_pair(("kubernetes",), datetime.now(UTC)).authority.decode()
    for name, text in (("token", "t"), ("namespace", "kube-amd-gpu"), ("ca.crt", authority)):
        (account / name).write_text(text)
    return node


def _arguments(given: Mapping[str, str]) -> list[str]:
    """As the operator makes them: one dash, sorted."""
    return [f"-{name}={value}" for name, value in sorted(given.items())]


def _environment(container: Mapping[str, Any]) -> dict[str, str]:
    return {
        item["name"]: item["value"] if "value" in item else FIELDS[item["valueFrom"]["fieldRef"]["fieldPath"]]
        for item in container["env"]
    }


@contextmanager
def _started(daemonset: Mapping[str, Any], root: Path, node: Path) -> Iterator["subprocess.Popen[str]"]:
    """The container of a pod of that DaemonSet, on that node."""
    spec = daemonset["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    sources = {volume["name"]: volume["hostPath"]["path"] for volume in spec["volumes"]}
    mounts = [(str(node / "account"), "/var/run/secrets/kubernetes.io/serviceaccount")]
    mounts += [(f"{node}{sources[each['name']]}", each["mountPath"]) for each in container["volumeMounts"]]
    script = ["unshare", "--mount", "--propagation", "private", "sh", "-c", START, "sh", str(root)]
    process = subprocess.Popen(
        [*script, *(part for mount in mounts for part in mount), "--", *container["command"], *_arguments(GIVEN)],
        env=IMAGE.environment | _environment(container) | CLUSTER | {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _later(daemonset: Any) -> Any:
    """What a later operator adds."""
    spec = daemonset["spec"]["template"]["spec"]
    spec["containers"][0]["env"].append({"name": "KMM_DRIVER_ENABLED", "value": "true"})
    spec["containers"][0]["volumeMounts"].append({"name": "modules", "mountPath": "/lib/modules"})
    spec["volumes"].append({"name": "modules", "hostPath": {"path": "/lib/modules"}})
    return daemonset


@pytest.mark.parametrize("change", [lambda daemonset: daemonset, _later], ids=["1.5.1", "later"])
def test_it_serves_as_the_operator_starts_it(change: Any, node: Path, tmp_path: Path) -> None:
    """Both sockets are made where the kubelet looks, one-dash arguments are taken, GPUs found, and SIGTERM ends it."""
    root = IMAGE.unpack_to_run(tmp_path / "root")
    sockets = [
        node / "var/lib/kubelet/plugins/gpu.amd.com/dra.sock",
        node / "var/lib/kubelet/plugins_registry/gpu.amd.com-reg.sock",
    ]

    with _started(change(yaml.safe_load(DAEMONSET.read_text())), root, node) as process:
        deadline = time.monotonic() + 60
        while not all(path.is_socket() for path in sockets) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        served = process.poll() is None and all(path.is_socket() for path in sockets)
        process.terminate()
        output, _ = process.communicate(timeout=60)

    assert served, output
    assert process.returncode == 0, output
    # In the form that the arguments ask for, and of the GPUs of the mounted tree.
    said = [json.loads(line)["msg"] for line in output.splitlines()]
    assert "found 8 GPUs, 8 devices" in said

"""A kind cluster on a host, with the driver in it.

Knows kind, kubectl and helm. Refuses to know what a scenario checks.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.host import CommandError, Host, Pieces

_NODE_IMAGE = "localhost/kind-node"
_CONFIG = """\
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
networking:
  disableDefaultCNI: true      # the node's first process writes the CNI configuration
  kubeProxyMode: nftables
kubeadmConfigPatches:
- |
  kind: InitConfiguration
  skipPhases: [preflight, addon/coredns]
nodes:
- role: control-plane
  extraMounts:
  - {{hostPath: {tree}, containerPath: /fake-gpu}}
"""
_PLAIN_CONFIG = """\
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes:
- role: control-plane
  extraMounts:
  - {{hostPath: {tree}, containerPath: /fake-gpu}}
"""


class Cluster:
    """One cluster; `kubectl` and the waits speak to it."""

    def __init__(self, host: Host, pieces: Pieces) -> None:
        self.host, self._pieces = host, pieces

    def _node_image(self) -> str:
        """The node image: the published one, or ours, which podman is given first."""
        if self._pieces.provider == "docker":
            return f"kindest/node:{self._pieces.kubernetes}"
        image = f"{_NODE_IMAGE}:{self._pieces.kubernetes}"
        self.host.run(
            "podman",
            "import",
            "--change",
            'ENTRYPOINT ["/kind/node-init"]',
            "--change",
            "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            self._pieces.node,
            image,
            timeout=180,
        )
        return image

    def create(self, tree: Path) -> None:
        """Makes it, with a fake GPU tree in its node; returns when the node is ready."""
        image = self._node_image()
        config = self.host.work / "cluster.yaml"
        config.write_text((_CONFIG if self._pieces.provider == "podman" else _PLAIN_CONFIG).format(tree=tree))
        self.host.run(
            self._pieces.kind,
            "create",
            "cluster",
            "--image",
            image,
            "--config",
            str(config),
            "--wait",
            "120s",
            timeout=240,
        )
        self.wait(
            "the ServiceAccount default", lambda: bool(self.get("serviceaccounts", namespace="default", name="default"))
        )

    def load(self, archive: Path) -> None:
        """Puts an image archive into the nodes."""
        self.host.run(self._pieces.kind, "load", "image-archive", str(archive), timeout=120)

    def install(self, chart: Path, namespace: str, values: dict[str, str]) -> None:
        """Installs a chart and waits until its pods are ready: helm's own wait is content with a DaemonSet of none."""
        pairs = [part for name, value in values.items() for part in ("--set", f"{name}={value}")]
        command = ["install", "driver", str(chart), "--namespace", namespace, "--create-namespace", *pairs]
        self.host.run(self._pieces.helm, *command, timeout=60)
        sets = self.kubectl("get", "daemonsets", "-n", namespace, "-o", "name").split()
        self.kubectl("rollout", "status", "-n", namespace, "--timeout=90s", *sets, timeout=100)

    def uninstall(self, namespace: str) -> None:
        """Takes the chart away again."""
        self.host.run(self._pieces.helm, "uninstall", "driver", "--namespace", namespace, "--wait", timeout=90)

    def kubectl(self, *command: str, text: str | None = None, timeout: float = 60) -> str:
        """Runs kubectl; gives what it printed."""
        return self.host.run(self._pieces.kubectl, *command, text=text, timeout=timeout)

    def apply(self, manifest: str, namespace: str) -> None:
        """Applies a manifest."""
        self.kubectl("apply", "--namespace", namespace, "-f", "-", text=manifest)

    def get(self, kind: str, *, namespace: str = "", name: str = "") -> Any:
        """An object, or the items of a list; None if there is no such object."""
        where = ["--namespace", namespace] if namespace else []
        found = self.kubectl("get", kind, *([name] if name else []), *where, "--ignore-not-found", "-o", "json")
        if not found.strip():
            return None if name else []
        data = json.loads(found)
        return data if name else data["items"]

    def wait[T](self, what: str, look: Callable[[], T], *, seconds: float = 60) -> T:
        """Looks until there is something to see; at most `seconds`."""
        deadline = time.monotonic() + seconds
        while not (found := look()):
            if time.monotonic() > deadline:
                raise CommandError(f"waited {seconds} s for {what}")
            time.sleep(0.2)
        return found

    def wait_phase(self, namespace: str, pod: str, *phases: str, seconds: float = 100) -> str:
        """Waits until a pod is in one of these phases; gives the one."""

        def look() -> str:
            found = self.get("pods", namespace=namespace, name=pod)
            phase = found["status"].get("phase", "") if found else ""
            return phase if phase in phases else ""

        return self.wait(f"pod {pod} to be {' or '.join(phases)}", look, seconds=seconds)

    def in_node(self, *command: str) -> str:
        """Runs a command in the node."""
        return self.host.run(self._pieces.provider, "exec", "kind-control-plane", *command)

    def keep_logs(self, out: Path) -> None:
        """Writes what a person needs after a failure: kind's logs, objects, the plugin's log, events."""
        out.mkdir(parents=True, exist_ok=True)
        commands = {
            "pods.txt": ("get", "pods", "-A", "-o", "wide"),
            "claims.yaml": ("get", "resourceclaims", "-A", "-o", "yaml"),
            "slices.yaml": ("get", "resourceslices", "-o", "yaml"),
            "events.txt": ("get", "events", "-A", "--sort-by=.lastTimestamp"),
            "describe.txt": ("describe", "pods", "-A"),
            "plugin.txt": (
                "logs",
                "-n",
                "amd-gpu",
                "--all-containers",
                "-l",
                "app.kubernetes.io/name=k8s-gpu-dra-driver",
            ),
        }
        for name, command in commands.items():
            try:
                (out / name).write_text(self.kubectl(*command))
            except CommandError as error:
                (out / name).write_text(str(error))
        for log in ("kubelet", "containerd"):
            try:
                (out / f"{log}.log").write_text(self.in_node("tail", "-n", "2000", f"/var/log/{log}.log"))
            except CommandError as error:
                (out / f"{log}.log").write_text(str(error))

    def delete(self) -> None:
        """Takes the cluster away."""
        self.host.run(self._pieces.kind, "delete", "cluster", timeout=60)

"""A kind cluster on a host, with the driver in it.

Knows kind, kubectl and helm. Refuses to know what a scenario checks.
"""

import itertools
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.host import KUBECONFIG_WAY, CommandError, Host, Pieces

_NODE_IMAGE = "localhost/kind-node"
# Of the plugin, as this build calls it; its Python runs the probes of scenarios.
DEV_IMAGE = "localhost/amdgpu-dra/kubelet-plugin:dev"
_OURS = "app.kubernetes.io/name=k8s-gpu-dra-driver"
# The kubelet keeps the log of a pod's last container alone; copies that are made in time stay.
KEPT_LOGS = "/var/log/kept"
KEEP_LOGS = f"mkdir -p {KEPT_LOGS} && cp -r /var/log/pods/amd-gpu_* {KEPT_LOGS}"
# For our own node: its first process writes the CNI configuration, and it has no CoreDNS.
_NETWORKING = {"disableDefaultCNI": True, "kubeProxyMode": "nftables"}
_SKIP = "kind: InitConfiguration\nskipPhases: [preflight, addon/coredns]\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a cluster has beyond the usual one.

    Attributes:
        mounts: path in the node -> folder beside the cluster.
        workers: the same for each further node.
        patches: documents that kind merges into what it gives to kubeadm.
    """

    mounts: Mapping[str, Path]
    workers: tuple[Mapping[str, Path], ...] = ()
    patches: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A driver that was installed before the tests.

    Attributes:
        fleet: of fake GPUs; empty if the nodes have their own.
        kernel: whether a fake kernel stands in for them.
        values: of its chart, by path.
        nodes: how many nodes offer devices.
    """

    fleet: str
    kernel: bool
    values: Mapping[str, str]
    nodes: int = 1


class Cluster:
    """One cluster; `kubectl` and the waits speak to it.

    Attributes:
        nodes: their names, that of the control plane first; this one alone until `create` has made more.
        image: of the plugin, as the nodes get it.
        installed: the driver that is there and stays, if it is not for the tests to install it.
        has_nodes: whether commands can be run in its nodes and images be put into them.
    """

    def __init__(self, host: Host, pieces: Pieces, name: str = "kind") -> None:
        self.host, self._pieces, self._name = host, pieces, name
        self._node = f"{name}-control-plane"
        self._address = ""
        self.nodes: tuple[str, ...] = (self._node,)
        self.image = DEV_IMAGE
        self.installed: Installed | None = None
        self.has_nodes = pieces.provider != KUBECONFIG_WAY

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

    def create(self, setting: Setting, tell: Callable[[str], None] = lambda _: None) -> None:
        """Makes it; returns when the node is ready. `tell` hears of each step."""
        tell(f"node image of Kubernetes {self._pieces.kubernetes}")
        image = self._node_image()
        tell("kind create cluster")
        config = self.host.work / "cluster.json"
        config.write_text(json.dumps(self._config(setting)))
        self.host.run(
            self._pieces.kind,
            "create",
            "cluster",
            "--name",
            self._name,
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
        if setting.workers:
            self.nodes = tuple(sorted(node["metadata"]["name"] for node in self.get("nodes")))
            # Beside workers kind leaves it on the node of the control plane, where pods shall run here too.
            self.kubectl("taint", "nodes", self._node, "node-role.kubernetes.io/control-plane-")

    def _config(self, setting: Setting) -> dict[str, Any]:
        """The configuration that kind is given."""
        nodes = [("control-plane", setting.mounts), *(("worker", mounts) for mounts in setting.workers)]
        found: dict[str, Any] = {
            "kind": "Cluster",
            "apiVersion": "kind.x-k8s.io/v1alpha4",
            "nodes": [{"role": role, "extraMounts": _mounts(mounts)} for role, mounts in nodes],
            "kubeadmConfigPatches": list(setting.patches),
        }
        if self._pieces.provider == "podman":
            found["networking"] = _NETWORKING
            found["kubeadmConfigPatches"].append(_SKIP)
        return found

    def load(self, archive: Path) -> None:
        """Puts an image archive into the nodes."""
        self.host.run(self._pieces.kind, "load", "image-archive", "--name", self._name, str(archive), timeout=120)

    def install(self, chart: Path, namespace: str, values: dict[str, str]) -> None:
        """Installs a chart and waits until its pods are ready: helm's own wait is content with a DaemonSet of none."""
        pairs = [part for name, value in values.items() for part in ("--set", f"{name}={value}")]
        command = ["install", "driver", str(chart), "--namespace", namespace, "--create-namespace", *pairs]
        self.helm(*command, timeout=150)
        self.wait_rolled_out(namespace)

    def wait_rolled_out(self, namespace: str, *, seconds: int = 90) -> None:
        """Returns when the pods of each DaemonSet and Deployment are those of now, and ready."""
        sets = self.kubectl("get", "daemonsets,deployments", "-n", namespace, "-o", "name").split()
        self.kubectl("rollout", "status", "-n", namespace, f"--timeout={seconds}s", *sets, timeout=seconds + 10)

    def uninstall(self, namespace: str) -> None:
        """Takes the chart away again."""
        self.helm("uninstall", "driver", "--namespace", namespace, "--wait", timeout=90)

    def helm(self, *command: str, timeout: float = 60) -> str:
        """Runs helm; gives what it printed."""
        return self.host.run(self._pieces.helm, *command, timeout=timeout)

    def kubectl(self, *command: str, text: str | None = None, timeout: float = 60) -> str:
        """Runs kubectl; gives what it printed."""
        return self.host.run(self._pieces.kubectl, *command, text=text, timeout=timeout)

    def apply(self, manifest: str, namespace: str) -> None:
        """Applies a manifest."""
        if self.image != DEV_IMAGE:
            manifest = manifest.replace(DEV_IMAGE, self.image).replace("PullPolicy: Never", "PullPolicy: IfNotPresent")
        self.kubectl("apply", "--namespace", namespace, "-f", "-", text=manifest)

    def make_namespace(self, name: str) -> None:
        """Makes a namespace in which pods can be made at once."""
        self.kubectl("create", "namespace", name)
        self.wait(
            "the ServiceAccount default", lambda: bool(self.get("serviceaccounts", namespace=name, name="default"))
        )

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

    def in_node(self, *command: str, node: str = "") -> str:
        """Runs a command in a node, by default in that of the control plane."""
        return self.host.run(self._pieces.provider, "exec", node or self._node, *command)

    def restart_node(self) -> None:
        """Ends every process of the node, wipes its /run, and starts it again; it keeps its address."""
        self._address = self._address or self._addresses()[0]
        self.host.run(self._pieces.provider, "restart", "--time", "1", self._node, timeout=90)
        # podman gives a container another address at each start; the cluster's certificates and files name the first.
        if self._address not in self._addresses():
            self.in_node("ip", "address", "add", self._address, "dev", "eth0")

    def _addresses(self) -> list[str]:
        return [
            line.split()[3] for line in self.in_node("ip", "-4", "-o", "address", "show", "dev", "eth0").splitlines()
        ]

    def keep_logs(self, out: Path) -> None:
        """Writes what a person needs after a failure: kind's logs, objects, the plugin's log, events."""
        out.mkdir(parents=True, exist_ok=True)
        commands = {
            "pods.txt": ("get", "pods", "-A", "-o", "wide"),
            "claims.yaml": ("get", "resourceclaims", "-A", "-o", "yaml"),
            "slices.yaml": ("get", "resourceslices", "-o", "yaml"),
            "events.txt": ("get", "events", "-A", "--sort-by=.lastTimestamp"),
            "describe.txt": ("describe", "pods", "-A"),
            "plugin-now.txt": ("logs", "-n", "amd-gpu", "--all-containers", "-l", _OURS),
        }
        for name, command in commands.items():
            try:
                (out / name).write_text(self.kubectl(*command))
            except CommandError as error:
                (out / name).write_text(str(error))
        if not self.has_nodes:
            return
        logs = {
            "plugin.txt": f"{KEEP_LOGS}; cd {KEPT_LOGS} && find . -name '*.log' | sort | xargs tail -n +1",
            "kubelet.log": "cat /var/log/kubelet.log",
            "containerd.log": "cat /var/log/containerd.log",
        }
        for node, (name, script) in itertools.product(self.nodes, logs.items()):
            try:
                text = self.in_node("sh", "-c", script, node=node)
            except CommandError as error:
                text = str(error)
            (out / (name if node == self._node else f"{node}.{name}")).write_text(text)

    def delete(self) -> None:
        """Takes the cluster away."""
        self.host.run(self._pieces.kind, "delete", "cluster", "--name", self._name, timeout=60)


def _mounts(mounts: Mapping[str, Path]) -> list[dict[str, str]]:
    """As kind writes them."""
    return [{"hostPath": str(source), "containerPath": target} for target, source in mounts.items()]

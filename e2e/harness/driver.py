"""The driver in a cluster: its image loaded, its chart installed on a fake tree of the node, and taken away again."""

import os
from pathlib import Path

from harness.cluster import Cluster

NAMESPACE = "amd-gpu"
PLUGIN_FOLDER = "/var/lib/kubelet/plugins/gpu.amd.com"
TREES = "/fake-gpu"
_CHART = Path("charts/k8s-gpu-dra-driver")
_IMAGE = "localhost/amdgpu-dra/kubelet-plugin"


def load_image(cluster: Cluster, archive: Path) -> None:
    """Puts an image archive of this build into the nodes."""
    copy = cluster.host.work / f"{archive.parent.parent.name}.tar"
    copy.write_bytes(archive.read_bytes())
    cluster.load(copy)


def install_driver(cluster: Cluster, tree: str, **values: str) -> None:
    """Installs the chart on the tree at a path of the node, and waits until the node's slices are accepted.

    Args:
        cluster: with the image loaded.
        tree: a folder with `sys` and `dev`.
        values: further values; `__` stands for a dot.
    """
    chart = cluster.host.work / "chart"
    _place_tree(_CHART.resolve(), chart)
    given = {
        "image.repository": _IMAGE,
        "image.tag": "dev",
        "image.pullPolicy": "Never",
        "kubeletPlugin.sysfsPath": f"{tree}/sys",
        "kubeletPlugin.devPath": f"{tree}/dev",
        "kubeletPlugin.rescanInterval": "1s",
    }
    cluster.install(chart, NAMESPACE, given | {name.replace("__", "."): value for name, value in values.items()})


def upgrade_driver(cluster: Cluster, **values: str) -> None:
    """Changes values of the installed chart, and waits until its pods have them; `__` stands for a dot."""
    pairs = [part for name, value in values.items() for part in ("--set", f"{name.replace('__', '.')}={value}")]
    chart = str(cluster.host.work / "chart")
    cluster.helm("upgrade", "driver", chart, "--namespace", NAMESPACE, "--reuse-values", *pairs, timeout=150)
    cluster.wait_rolled_out(NAMESPACE)


def rollback_driver(cluster: Cluster) -> None:
    """Takes the last upgrade back."""
    cluster.helm("rollback", "driver", "--namespace", NAMESPACE, timeout=150)
    cluster.wait_rolled_out(NAMESPACE)


def run_chart_test(cluster: Cluster) -> None:
    """What `helm test` does: a claim, and a pod that looks for its device nodes."""
    cluster.helm("test", "driver", "--namespace", NAMESPACE, "--timeout", "90s", timeout=100)


def remove_driver(cluster: Cluster) -> None:
    """Takes the chart away; nothing of it may be left on the nodes."""
    cluster.uninstall(NAMESPACE)
    for node in cluster.nodes:
        left = cluster.in_node("find", "/var/run/cdi", "-name", "*amd*", node=node)
        assert left == "", left
    # The kubelet does that too, 30 s after the plugin has gone; the next installation starts with a clean table.
    cluster.kubectl("delete", "resourceslices", "--all")


def logs_folder(base: Path) -> Path:
    """Where a failed run leaves its logs."""
    return Path(os.environ.get("TEST_UNDECLARED_OUTPUTS_DIR", str(base / "logs")))


def _place_tree(source: Path, target: Path) -> None:
    for path in source.rglob("*"):
        if path.is_file():
            (target / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            (target / path.relative_to(source)).write_bytes(path.read_bytes())

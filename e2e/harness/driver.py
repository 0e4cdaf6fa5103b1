"""The driver in a cluster: its image loaded, its chart installed on a fake tree of the node, and taken away again."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from amdgpu_dra.core.fakegpu import FleetSpec, render
from amdgpu_dra.edge.faketree import FAKE_MARKER, list_nodes, write_tree
from harness.cluster import Cluster

NAMESPACE = "amd-gpu"
PLUGIN_FOLDER = "/var/lib/kubelet/plugins/gpu.amd.com"
TREES = "/fake-gpu"
KERNEL_TREE = "/var/lib/fake-gpu"
_CHART = Path("charts/k8s-gpu-dra-driver")
# Values by which other devices are offered, or by other names.
_OFFERS = ("featureGates.", "kubeletPlugin.deviceNames", "kubeletPlugin.repartition", "kubeletPlugin.idleMode")
_IMAGE = "localhost/amdgpu-dra/kubelet-plugin"


def load_image(cluster: Cluster, archive: Path) -> None:
    """Puts an image archive of this build into the nodes."""
    copy = cluster.host.work / f"{archive.parent.parent.name}.tar"
    copy.write_bytes(archive.read_bytes())
    try:
        cluster.load(copy)
    finally:
        copy.unlink()


def write_trees(work: Path, fleet: FleetSpec) -> None:
    """Writes a fleet's tree to the folder that the nodes see as TREES."""
    tree = work / "trees" / fleet.name
    tree.mkdir(parents=True, exist_ok=True)
    write_tree(render(fleet), tree)


def make_nodes(cluster: Cluster, fleet: FleetSpec, tree: str = "", *, node: str = "") -> None:
    """Makes the device nodes of a tree that a user who is not root wrote: in the cluster's node, where root can.

    Args:
        cluster: that is there.
        fleet: whose tree it is.
        tree: its path in the node, if not that of its name below TREES.
        node: if not that of the control plane.
    """
    if os.geteuid() == 0:
        return
    folder = f"{tree or f'{TREES}/{fleet.name}'}/dev"
    made = [
        f"rm -f {folder}/{each.path}; mknod -m 666 {folder}/{each.path} c {each.major} {each.minor}"
        for each in list_nodes(render(fleet))
    ]
    cluster.in_node("sh", "-ec", "; ".join((f"rm -f {folder}/{FAKE_MARKER}", *made)), node=node)


def install_driver(cluster: Cluster, tree: str, **values: str) -> None:
    """Installs the chart on the tree at a path of the node, and waits until the node's slices are accepted.

    A driver that is there already is left as it is; the test is skipped where it is not such a one.

    Args:
        cluster: with the image loaded.
        tree: a folder with `sys` and `dev`.
        values: further values; `__` stands for a dot.
    """
    more = {name.replace("__", "."): value for name, value in values.items()}
    if cluster.installed is not None:
        if tree.startswith(TREES):
            require_fleet(cluster, tree.removeprefix(f"{TREES}/"))
        _require_values(cluster, more)
        return
    given = {"image.repository": _IMAGE, "image.tag": "dev", "image.pullPolicy": "Never", **values_of_tree(tree)}
    cluster.install(place_chart(cluster), NAMESPACE, given | more)


def values_of_tree(tree: str) -> dict[str, str]:
    """Values of the chart for a fake tree at a path of the node."""
    return {
        "kubeletPlugin.sysfsPath": f"{tree}/sys",
        "kubeletPlugin.devPath": f"{tree}/dev",
        "kubeletPlugin.rescanInterval": "1s",
    }


def place_chart(cluster: Cluster) -> Path:
    """Puts the chart where helm runs."""
    chart = cluster.host.work / "chart"
    _place_tree(_CHART.resolve(), chart)
    return chart


def knows_gpus(cluster: Cluster) -> bool:
    """Whether the GPUs of the cluster are those of one fleet on one node."""
    there = cluster.installed
    return there is None or (bool(there.fleet) and there.nodes == 1)


def require_fleet(cluster: Cluster, fleet: str, *, kernel: bool = False) -> None:
    """Skips the test where the driver that is there has other GPUs than this fleet's, or no fake kernel below them."""
    there = cluster.installed
    if there is None:
        return
    if there.fleet == fleet and there.kernel >= kernel:
        if there.nodes > 1:
            pytest.skip(f"needs the GPUs of one node alone, and {there.nodes} nodes have some")
        return
    option = "--fake " if kernel else ""
    lacks = " without a kernel" if kernel and not there.kernel else ""
    found = f"fake GPUs {there.fleet}{lacks}" if there.fleet else "real GPUs"
    pytest.skip(f"needs //e2e/kind:install -- {option}--fleet={fleet}; the driver that is installed is on {found}")


def _require_values(cluster: Cluster, wanted: Mapping[str, str]) -> None:
    """Skips the test where a value that it needs is not set, or one is that makes the driver offer something else."""
    there = cluster.installed.values if cluster.installed else {}
    missing = [f"--set={path}={value}" for path, value in wanted.items() if there.get(path) != value]
    if missing:
        pytest.skip(f"needs //e2e/kind:install -- {' '.join(missing)}")
    more = [f"--set={path}={there[path]}" for path in there.keys() - wanted.keys() if path.startswith(_OFFERS)]
    if more:
        pytest.skip(f"needs //e2e/kind:install without {' '.join(sorted(more))}")


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
    """Takes the chart away; nothing of it may be left on the nodes. A driver that was there before stays."""
    if cluster.installed is not None:
        return
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

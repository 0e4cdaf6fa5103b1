"""A cluster from its making to its end: trees, images, and logs where something failed."""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from amdgpu_dra.edge.faketree import read_fleet
from harness.cluster import Cluster, Setting
from harness.driver import PLUGIN_FOLDER, TREES, load_image, logs_folder, make_nodes, write_trees
from harness.host import Host, cache_folder, find_pieces
from harness.ways import way_of

# A cluster that pytest was started for; its scenarios make none of their own.
GIVEN = pytest.StashKey[Cluster]()

# What faults need: a container that was killed is started again after one second and not after minutes, so that the
# plugin can be killed often; and components of a control plane of one do not wait for leases of their predecessors.
_NO_ELECTION = """\
kind: ClusterConfiguration
controllerManager: {extraArgs: [{name: leader-elect, value: "false"}]}
scheduler: {extraArgs: [{name: leader-elect, value: "false"}]}
"""
_FAULT_PATCHES = (
    "kind: KubeletConfiguration\ncrashLoopBackOff: {maxContainerRestartPeriod: 1s}\n",
    _NO_ELECTION,
)
_SMALL_DISK = "2m"
# Every version of the group, so that each can be asked.
_EVERY_VERSION = """\
kind: ClusterConfiguration
apiServer: {extraArgs: [{name: runtime-config, value: "resource.k8s.io/v1beta1=true,resource.k8s.io/v1beta2=true"}]}
"""


@contextmanager
def open_cluster(
    fleets: Sequence[str],
    images: Sequence[str],
    *,
    failed: Callable[[], bool],
    for_faults: bool = False,
    node_each: bool = False,
) -> Iterator[Cluster]:
    """A kind cluster with images loaded; its node has a tree of each fleet below TREES.

    Args:
        fleets: names of bundled fleets.
        images: archives of this build.
        failed: whether the logs shall be kept, as they are after an error in here.
        for_faults: the plugin's folder is a small disk of its own, and killed containers come back at once.
        node_each: a node for each fleet, with its tree at TREES itself; every version of resource.k8s.io is served.
    """
    pieces = find_pieces()
    base = cache_folder() / "e2e"
    with tempfile.TemporaryDirectory(prefix="run-", dir=base, ignore_cleanup_errors=True) as folder:
        work = Path(folder)
        for fleet in fleets:
            write_trees(work, read_fleet(fleet))
        host = way_of(pieces).start(work, kept=False)
        cluster, done = Cluster(host, pieces), False
        try:
            usual = _setting(work / "trees", fleets, node_each=node_each)
            cluster.create(_fault_setting(host) if for_faults else usual)
            for number, fleet in enumerate(fleets):
                tree, node = (TREES, cluster.nodes[number]) if node_each else ("", "")
                make_nodes(cluster, read_fleet(fleet), tree, node=node)
            for image in images:
                load_image(cluster, Path(image).resolve())
            yield cluster
            done = not failed()
        finally:
            try:
                if not done or "CI_KEEP_LOGS" in os.environ:
                    cluster.keep_logs(logs_folder(base))
                if done:
                    cluster.delete()
            finally:
                host.stop()


def _setting(trees: Path, fleets: Sequence[str], *, node_each: bool) -> Setting:
    """One node with all trees, or a node for each."""
    if not node_each:
        return Setting(mounts={TREES: trees})
    first, *others = ({TREES: trees / fleet} for fleet in fleets)
    return Setting(mounts=first, workers=tuple(others), patches=(_EVERY_VERSION,))


def _fault_setting(host: Host) -> Setting:
    """The setting of a cluster whose plugin folder can be filled; it survives restarts of the node, as a disk does."""
    disk = host.work / "plugin-folder"
    disk.mkdir()
    host.run("mount", "-t", "tmpfs", "-o", f"size={_SMALL_DISK},mode=755", "plugin-folder", str(disk))
    return Setting(mounts={TREES: host.work / "trees", PLUGIN_FOLDER: disk}, patches=_FAULT_PATCHES)

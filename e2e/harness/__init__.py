"""A real Kubernetes cluster for tests: where it runs, the cluster, the driver in it, and how its state is read."""

from harness.cluster import Cluster
from harness.driver import TREES, install_driver, load_image, logs_folder, remove_driver
from harness.host import CommandError, Host, Pieces, find_pieces, make_host
from harness.kernel import KERNEL_TREE, install_fake_kernel, remove_fake_kernel, tell_fake_kernel, wait_fake_kernel
from harness.look import (
    allocated_devices,
    apply_scenario,
    pod_manifest,
    read_report,
    render_minors,
    wait_refused,
)

__all__ = [
    "KERNEL_TREE",
    "TREES",
    "Cluster",
    "CommandError",
    "Host",
    "Pieces",
    "allocated_devices",
    "apply_scenario",
    "find_pieces",
    "install_driver",
    "install_fake_kernel",
    "load_image",
    "logs_folder",
    "make_host",
    "pod_manifest",
    "read_report",
    "remove_driver",
    "remove_fake_kernel",
    "render_minors",
    "tell_fake_kernel",
    "wait_fake_kernel",
    "wait_refused",
]

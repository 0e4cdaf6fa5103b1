"""A real Kubernetes cluster for tests: where it runs, the cluster, the driver in it, and how its state is read."""

from harness.cluster import Cluster
from harness.driver import TREES, install_driver, load_image, logs_folder, remove_driver
from harness.host import CommandError, Host, Pieces, find_pieces, make_host
from harness.look import allocated_devices, apply_scenario, read_report, render_minors, wait_refused

__all__ = [
    "TREES",
    "Cluster",
    "CommandError",
    "Host",
    "Pieces",
    "allocated_devices",
    "apply_scenario",
    "find_pieces",
    "install_driver",
    "load_image",
    "logs_folder",
    "make_host",
    "read_report",
    "remove_driver",
    "render_minors",
    "wait_refused",
]

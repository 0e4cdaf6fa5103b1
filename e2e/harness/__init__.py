"""A real Kubernetes cluster for tests: where it runs, the driver in it, how its state is read, loads and faults."""

from harness.account import Request, ask_as_plugin, find_plugin_pod, new_slice
from harness.apiserver import Answer, Server, chart_objects, open_server
from harness.cluster import Cluster, Installed
from harness.driver import (
    KERNEL_TREE,
    NAMESPACE,
    PLUGIN_FOLDER,
    TREES,
    install_driver,
    knows_gpus,
    load_image,
    logs_folder,
    remove_driver,
    require_fleet,
    rollback_driver,
    run_chart_test,
    upgrade_driver,
)
from harness.examples import apply_example, delete_example
from harness.faults import (
    PLUGIN,
    fill_disk,
    free_disk,
    kill,
    kill_plugin,
    pause_api,
    resume_api,
)
from harness.host import CommandError, Host, Pieces, find_pieces
from harness.kernel import install_fake_kernel, remove_fake_kernel, tell_fake_kernel, wait_fake_kernel
from harness.lab import GIVEN, open_cluster
from harness.load import Entry, make_manifest, prepare_load, read_reports
from harness.look import (
    allocated_devices,
    apply_scenario,
    pod_manifest,
    read_report,
    render_minors,
    wait_refused,
)
from harness.reports import Expected, Hold, judge, parse_reports
from harness.retries import Span, check_waits, find_races, parse_failures
from harness.soak import Outcome, find_left_over, read_devices, run_soak

__all__ = [
    "GIVEN",
    "KERNEL_TREE",
    "NAMESPACE",
    "PLUGIN",
    "PLUGIN_FOLDER",
    "TREES",
    "Answer",
    "Cluster",
    "CommandError",
    "Entry",
    "Expected",
    "Hold",
    "Host",
    "Installed",
    "Outcome",
    "Pieces",
    "Request",
    "Server",
    "Span",
    "allocated_devices",
    "apply_example",
    "apply_scenario",
    "ask_as_plugin",
    "chart_objects",
    "check_waits",
    "delete_example",
    "fill_disk",
    "find_left_over",
    "find_pieces",
    "find_plugin_pod",
    "find_races",
    "free_disk",
    "install_driver",
    "install_fake_kernel",
    "judge",
    "kill",
    "kill_plugin",
    "knows_gpus",
    "load_image",
    "logs_folder",
    "make_manifest",
    "new_slice",
    "open_cluster",
    "open_server",
    "parse_failures",
    "parse_reports",
    "pause_api",
    "pod_manifest",
    "prepare_load",
    "read_devices",
    "read_report",
    "read_reports",
    "remove_driver",
    "remove_fake_kernel",
    "render_minors",
    "require_fleet",
    "resume_api",
    "rollback_driver",
    "run_chart_test",
    "run_soak",
    "tell_fake_kernel",
    "upgrade_driver",
    "wait_fake_kernel",
    "wait_refused",
]

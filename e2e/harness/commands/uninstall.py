"""How what `install` made is taken away, and whom that would harm."""

import json
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from harness.cluster import Cluster
from harness.commands.session import Teller
from harness.driver import NAMESPACE
from harness.kernel import KERNEL_NAMESPACE
from harness.state import Installation

DRIVER, RELEASE = "gpu.amd.com", "driver"


def uninstall(cluster: Cluster, installation: Installation, teller: Teller) -> None:
    """Takes away what `install` made, whatever of it is there, and nothing else."""
    teller.step("the driver's release")
    cluster.helm("uninstall", RELEASE, "--namespace", NAMESPACE, "--ignore-not-found", "--wait", timeout=90)
    # The kubelets do that too, 30 s after the plugin has gone.
    cluster.kubectl("delete", "resourceslices", f"--field-selector=spec.driver={DRIVER}")
    if installation.kernel:
        teller.step("the fake kernel")
        if cluster.get("namespaces", name=KERNEL_NAMESPACE):
            cluster.kubectl("delete", "daemonset", "fakegpu", "-n", KERNEL_NAMESPACE, "--ignore-not-found", "--wait")
    for name in installation.namespaces:
        teller.step(f"namespace {name}")
        wait = ("--ignore-not-found", "--wait", "--timeout=60s")
        cluster.kubectl("delete", "namespace", name, *wait, timeout=90)
    for path in (cluster.host.work / "chart", *cluster.host.work.glob("values-*.yaml")):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def users_of_driver(cluster: Cluster) -> Sequence[str]:
    """Namespace and name of each pod that has a claim on a device of the driver."""
    found = set[str]()
    for claim in json.loads(cluster.kubectl("get", "resourceclaims", "-A", "-o", "json"))["items"]:
        found |= _holders(claim)
    return sorted(found)


def _holders(claim: Mapping[str, Any]) -> set[str]:
    status = claim.get("status", {})
    results = status.get("allocation", {}).get("devices", {}).get("results", [])
    if not any(result["driver"] == DRIVER for result in results):
        return set()
    namespace = claim["metadata"]["namespace"]
    return {f"{namespace}/{user['name']}" for user in status.get("reservedFor", []) if user["resource"] == "pods"}

"""What a scenario looks at: the reports of probes, and which devices claims got."""

import json
from pathlib import Path
from typing import Any

from harness.cluster import Cluster

_SCENARIOS = Path("e2e/scenarios")
_POD = """\
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  resourceClaims: [{{name: gpu, resourceClaimTemplateName: {template}}}]
  volumes: [{{name: probe, configMap: {{name: probe}}}}]
  containers:
  - name: work
    image: localhost/amdgpu-dra/kubelet-plugin:dev
    imagePullPolicy: Never
    command: [python3.13, -I, /probe/probe.py]
    volumeMounts: [{{name: probe, mountPath: /probe}}]
    resources: {{claims: [{{name: gpu}}]}}
"""


def apply_scenario(cluster: Cluster, namespace: str, scenario: str) -> None:
    """Applies the objects of a scenario."""
    cluster.apply((_SCENARIOS / f"{scenario}.yaml").read_text(), namespace)


def read_report(cluster: Cluster, namespace: str, pod: str, container: str = "work") -> dict[str, Any]:
    """What the probe in a container printed; its pod stays, so that its claim does too."""
    cluster.wait_phase(namespace, pod, "Running")
    printed = cluster.wait(
        f"pod {pod} to report", lambda: cluster.kubectl("logs", "-n", namespace, pod, "-c", container).strip()
    )
    found: dict[str, Any] = json.loads(printed)
    return found


def allocated_devices(cluster: Cluster, namespace: str) -> dict[str, list[str]]:
    """Claim -> allocated devices, in the order of the allocation."""
    found = {}
    for claim in cluster.get("resourceclaims", namespace=namespace):
        results = claim.get("status", {}).get("allocation", {}).get("devices", {}).get("results", [])
        found[claim["metadata"]["name"]] = [result["device"] for result in results]
    return found


def render_minors(report: dict[str, Any]) -> list[int]:
    """The minors of the render nodes that a container has."""
    return sorted(int(path.removeprefix("/dev/dri/renderD")) for path in report["nodes"] if "renderD" in path)


def wait_refused(cluster: Cluster, namespace: str, pod: str) -> str:
    """Waits until the scheduler says that a pod cannot run now; what it says."""

    def refused() -> str:
        events = cluster.get("events", namespace=namespace)
        found = [
            e["message"] for e in events if e["reason"] == "FailedScheduling" and e["involvedObject"]["name"] == pod
        ]
        return found[-1] if found else ""

    return cluster.wait(f"the scheduler to refuse pod {pod}", refused)


def pod_manifest(name: str, template: str) -> str:
    """A pod that runs the probe with a claim of a template."""
    return _POD.format(name=name, template=template)

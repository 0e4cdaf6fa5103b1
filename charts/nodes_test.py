"""Which nodes get the plugin, by the labels that Node Feature Discovery gives them."""

from typing import Any

import helm
import pytest

IMAGE = ("--set", "image.repository=registry.example/plugin")
NFD = "feature.node.kubernetes.io/"


def _fits(labels: dict[str, str], affinity: dict[str, Any]) -> bool:
    """Whether a node with these labels is one of an affinity."""
    node = affinity.get("nodeAffinity")
    if node is None:
        return True
    told = {
        "In": lambda rule: labels.get(rule["key"]) in rule["values"],
        "DoesNotExist": lambda rule: rule["key"] not in labels,
    }
    terms = node["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    return any(all(told[rule["operator"]](rule) for rule in term["matchExpressions"]) for term in terms)


# What NFD puts on every node, and what on those with a GPU.
_PLAIN = {
    f"{NFD}kernel-version.full": "6.12",
    f"{NFD}system-os_release.ID": "debian",
    f"{NFD}cpu-model.vendor_id": "AMD",
}


@pytest.mark.parametrize(
    ("labels", "on"),
    [
        pytest.param({}, {"auto", "all"}, id="without-nfd"),
        pytest.param(_PLAIN, {"all"}, id="no-gpu"),
        pytest.param({**_PLAIN, f"{NFD}pci-0300_10de.present": "true"}, {"all"}, id="other-gpu"),
        pytest.param({**_PLAIN, f"{NFD}amd-gpu": "true"}, {"auto", "nfd", "all"}, id="amds-rule"),
        pytest.param({**_PLAIN, f"{NFD}amd-vgpu": "true"}, {"auto", "nfd", "all"}, id="virtual-function"),
        pytest.param({**_PLAIN, f"{NFD}pci-1200_1002.present": "true"}, {"auto", "nfd", "all"}, id="accelerator"),
        pytest.param({**_PLAIN, f"{NFD}pci-0300_1002.present": "true"}, {"auto", "nfd", "all"}, id="display"),
        pytest.param({**_PLAIN, f"{NFD}pci-1002.present": "true"}, {"auto", "nfd", "all"}, id="vendor-alone"),
        pytest.param({f"{NFD}amd-gpu": "true"}, {"auto", "nfd", "all"}, id="labelled-by-hand"),
    ],
)
def test_nodes_with_amd_gpus_get_the_plugin(labels: dict[str, str], on: set[str]) -> None:
    """Nodes of which NFD knows that they have none do not, by default; nodes that it does not look at do."""
    found = set()
    for choice in ("auto", "nfd", "all"):
        objects = helm.rendered(*IMAGE, *helm.given(f"kubeletPlugin.onlyOn={choice}"))
        affinity = helm.one(objects, "DaemonSet")["spec"]["template"]["spec"].get("affinity", {})
        found |= {choice} if _fits(labels, affinity) else set()

    assert found == on


def test_a_node_affinity_of_ones_own_counts_alone() -> None:
    """It replaces the chart's; another kind of affinity stands beside it."""
    term = "nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0]"
    own = helm.given(f"kubeletPlugin.affinity.{term}.key=gpu", f"kubeletPlugin.affinity.{term}.operator=Exists")
    beside = helm.given("kubeletPlugin.affinity.podAntiAffinity.x=y")
    spec = helm.one(helm.rendered(*IMAGE, *own), "DaemonSet")["spec"]["template"]["spec"]
    both = helm.one(helm.rendered(*IMAGE, *beside), "DaemonSet")["spec"]["template"]["spec"]

    terms = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert terms == [{"matchExpressions": [{"key": "gpu", "operator": "Exists"}]}]
    assert both["affinity"].keys() == {"podAntiAffinity", "nodeAffinity"}

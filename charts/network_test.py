"""Who selects which pods, and what the network policies let pass."""

from typing import Any

import helm

IMAGE = ("--set", "image.repository=registry.example/plugin")
MONITORING = ("--api-versions", "monitoring.coreos.com/v1")
METRICS_ON = ("--set", "kubeletPlugin.containers.plugin.metricsPort=9400")
HOOK = ("--set", "webhook.enabled=true")


def _pods(objects: dict[str, dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Labels of every pod that the chart makes, by the name of what makes it."""
    made = {name: item for name, item in objects.items() if "template" in item.get("spec", {})}
    found = {name: item["spec"]["template"]["metadata"]["labels"] for name, item in made.items()}
    return found | {name: item["metadata"]["labels"] for name, item in objects.items() if item["kind"] == "Pod"}


def _selected(selector: dict[str, str], pods: dict[str, dict[str, str]]) -> list[str]:
    return [name for name, labels in pods.items() if selector.items() <= labels.items()]


def _selectors(item: dict[str, Any]) -> dict[str, str]:
    """Whatever an object selects pods by."""
    spec = item["spec"]
    selector: dict[str, Any] = spec.get("selector") or spec.get("podSelector")
    found: dict[str, str] = selector.get("matchLabels", selector)
    return found


def test_each_selector_selects_one_kind_of_pod() -> None:
    """DaemonSet, Deployment, Service, budget, policies and monitor each select the pods of one maker alone."""
    objects = helm.rendered(*IMAGE, *HOOK, *METRICS_ON, *MONITORING)
    pods = _pods(objects)
    kinds = {"DaemonSet", "Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy", "PodMonitor"}
    chosen = {name: _selected(_selectors(item), pods) for name, item in objects.items() if item["kind"] in kinds}

    assert len(pods) == 4
    assert {name: len(found) for name, found in chosen.items()} == dict.fromkeys(chosen, 1)
    assert {name.partition("/")[0] for name in chosen} == kinds


def _policy(objects: dict[str, dict[str, Any]], component: str) -> dict[str, Any]:
    policies = [item for item in objects.values() if item["kind"] == "NetworkPolicy"]
    (found,) = [item["spec"] for item in policies if _selectors(item)["app.kubernetes.io/component"] == component]
    spec: dict[str, Any] = found
    return spec


def test_nothing_connects_to_the_plugin() -> None:
    """With metrics off nothing may; where the plugin connects to is free until ports are given."""
    policy = _policy(helm.rendered(*IMAGE), "kubeletplugin")

    assert policy["ingress"] == []
    assert policy["policyTypes"] == ["Ingress"]


def test_scrapers_alone_reach_the_metrics() -> None:
    """The named port of the container, from those that were named."""
    scrapers = helm.given("networkPolicy.metricsFrom[0].podSelector.matchLabels.app=prometheus")
    objects = helm.rendered(*IMAGE, *METRICS_ON, *scrapers)
    (container,) = helm.one(objects, "DaemonSet")["spec"]["template"]["spec"]["containers"]
    (rule,) = _policy(objects, "kubeletplugin")["ingress"]

    assert rule["from"] == [{"podSelector": {"matchLabels": {"app": "prometheus"}}}]
    assert {port["port"] for port in rule["ports"]} == {port["name"] for port in container["ports"]}


def test_the_plugin_connects_to_the_api_server_alone() -> None:
    """With ports, and networks if they are given."""
    policy = _policy(
        helm.rendered(
            *IMAGE,
            *helm.given("networkPolicy.apiServer.ports={443,6443}", "networkPolicy.apiServer.cidrs={10.0.0.0/8}"),
        ),
        "kubeletplugin",
    )

    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["egress"] == [
        {
            "ports": [{"port": 443, "protocol": "TCP"}, {"port": 6443, "protocol": "TCP"}],
            "to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}],
        }
    ]


def test_the_webhook_answers_and_asks_nothing() -> None:
    """Its own port may be reached; it may connect to nothing."""
    objects = helm.rendered(*IMAGE, *HOOK)
    (container,) = helm.one(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    policy = _policy(objects, "webhook")

    assert policy["egress"] == []
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert [port["port"] for rule in policy["ingress"] for port in rule["ports"]] == [
        port["name"] for port in container["ports"]
    ]

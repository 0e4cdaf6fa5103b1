"""The tables of docs/security.md are what the chart renders: rights, mounts and privilege, and what brings each."""

import re
from pathlib import Path
from typing import Any

import helm
import pytest

PAGE = Path("docs/security.md")
# Everything on, then what a switch off takes away.
ON = {
    "image.repository": "registry.example/plugin",
    "webhook.enabled": "true",
    "rbac.listClaims": "true",
    "openshift.enabled": "true",
    "webhook.tls.mode": "self-managed",
    "kubeletPlugin.sysfsPath": "/sys",
    "featureGates.DynamicPartitioning": "true",
}
OFF = {
    "rbac.listClaims": "false",
    "openshift.enabled": "false",
    "webhook.tls.mode": "cert-manager",
    "webhook.enabled": "false",
    "kubeletPlugin.sysfsPath": "/fake/sys",
    "featureGates.DynamicPartitioning": "false",
}
SWITCHED = [{}, *({name: value} for name, value in OFF.items())]


def _rendered(off: dict[str, str]) -> dict[str, dict[str, Any]]:
    return helm.rendered(*helm.given(*(f"{name}={value}" for name, value in {**ON, **off}.items())))


def _rows(heading: str) -> list[list[str]]:
    """Cells of the first table below a heading."""
    section = PAGE.read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def _counts(condition: str, off: dict[str, str]) -> bool:
    """Whether a row is there although these values are off."""
    if condition == "always":
        return True
    name, _, value = condition.strip("`").partition("=")
    assert ON[name] == value, f"{PAGE}: {condition} is none of the values of this test"
    return name not in off


def _account(name: str) -> str:
    return "certificate" if name.endswith("-certificate") else "webhook" if name.endswith("-webhook") else "plugin"


def _rights(objects: dict[str, dict[str, Any]]) -> set[tuple[str, str, str]]:
    """Account, resource and verb of every rule that is bound to an account."""
    found = set()
    for binding in objects.values():
        if binding["kind"] in {"RoleBinding", "ClusterRoleBinding"}:
            role = objects[f"{binding['roleRef']['kind']}/{binding['roleRef']['name']}"]
            found |= {
                (_account(subject["name"]), f"{group}/{resource}", verb)
                for subject in binding["subjects"]
                for rule in role["rules"]
                for group in rule["apiGroups"]
                for resource in rule["resources"]
                for verb in rule["verbs"]
            }
    return found


def _off_accounts(off: dict[str, str]) -> set[str]:
    """Accounts that there are not."""
    if "webhook.enabled" in off:
        return {"webhook", "certificate"}
    return {"certificate"} if "webhook.tls.mode" in off else set()


@pytest.mark.parametrize("off", SWITCHED, ids=lambda off: next(iter(off), "all-on"))
def test_rights_are_those_of_the_table(off: dict[str, str]) -> None:
    """With everything on, and with one value off, the accounts may do exactly what the rows say."""
    expected = {
        (account, resource.strip("`"), verb)
        for account, resource, verbs, condition, _ in _rows("Rights on the API server")
        if _counts(condition, off) and account not in _off_accounts(off)
        for verb in verbs.split(", ")
    }

    assert _rights(_rendered(off)) == expected


MOUNTS = {
    "registry": "the kubelet's folder of registration sockets",
    "plugins": "the kubelet's folder of plugins",
    "cdi": "the CDI folder",
    "sysfs": "sysfs",
    "dev": "/dev",
    "certs": "its certificate",
}


def _powers(objects: dict[str, dict[str, Any]]) -> set[tuple[str, str]]:
    """Container and what it has of the node, for each container that serves."""
    found = set()
    for item in objects.values():
        if item["kind"] in {"DaemonSet", "Deployment"}:
            pod = item["spec"]["template"]["spec"]
            (container,) = pod["containers"]
            context = container["securityContext"]
            name = container["name"]
            found |= {(name, "privileged")} if context.get("privileged") else set()
            found |= set() if pod.get("securityContext", {}).get("runAsNonRoot") else {(name, "root")}
            found |= {(name, f"capability {added}") for added in context.get("capabilities", {}).get("add", [])}
            found |= {
                (name, f"{'read' if mount.get('readOnly') else 'write'} {MOUNTS[mount['name']]}")
                for mount in container["volumeMounts"]
            }
    return found


@pytest.mark.parametrize("off", SWITCHED, ids=lambda off: next(iter(off), "all-on"))
def test_powers_on_the_node_are_those_of_the_table(off: dict[str, str]) -> None:
    """With everything on, and with one value off, the containers have exactly what the rows say."""
    expected = {(row[0], row[1]) for row in _rows("On the node") if _counts(row[2], off)}
    if ("plugin", "write sysfs") in expected:
        expected -= {("plugin", "read sysfs")}

    assert _powers(_rendered(off)) == expected


@pytest.mark.parametrize("off", SWITCHED, ids=lambda off: next(iter(off), "all-on"))
def test_no_pod_has_more_than_it_says(off: dict[str, str]) -> None:
    """No namespaces or ports of the node, no writable root; all but the plugin run without root and capabilities."""
    for name, item in _rendered(off).items():
        template = item["spec"] if item["kind"] == "Pod" else item.get("spec", {}).get("template", {}).get("spec")
        if template is None or "containers" not in template:
            continue
        assert not {"hostNetwork", "hostPID", "hostIPC"} & template.keys(), name
        for container in template["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True, name
            assert not [port for port in container.get("ports", []) if "hostPort" in port], name
            if item["kind"] != "DaemonSet":
                assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, name
                assert template["securityContext"]["runAsUser"] == 65532, name


def test_a_table_names_each_value_once() -> None:
    """The rows of both tables use the values of this test, and each of them is used."""
    rows = _rows("Rights on the API server") + _rows("On the node")
    used = {match for row in rows for cell in row[2:4] for match in re.findall(r"^`([\w.]+)=", cell)}

    assert used == OFF.keys()

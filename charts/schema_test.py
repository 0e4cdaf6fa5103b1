"""The schema of the values: it knows each of them, Helm refuses what is wrong by it, and the page says the same."""

import os
from pathlib import Path
from typing import Any

import helm
import pytest
import reference
import yaml

from amdgpu_dra.apps.kubelet_plugin.flags import FLAGS

IMAGE = ("--set", "image.repository=registry.example/plugin")


def _paths(values: Any, path: str = "") -> set[str]:
    """Every path of a map, those of maps too."""
    if not isinstance(values, dict):
        return {path}
    inner = {part for name, value in values.items() for part in _paths(value, f"{path}.{name}" if path else name)}
    return inner | ({path} if path else set())


def _named(schema: dict[str, Any], node: dict[str, Any], path: str = "") -> set[str]:
    """Every path that the schema names, also within what Kubernetes defines."""
    node = schema["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node
    found = {path} if path else set()
    for name, part in node.get("properties", {}).items():
        found |= _named(schema, part, f"{path}.{name}" if path else name)
    return found


def test_the_schema_names_every_value() -> None:
    """Each key of values.yaml is in the schema, and each value of the schema has a default in values.yaml."""
    schema, values = reference.read_schema(), reference.read_values()
    users = {path for path, _ in reference.leaves(schema, schema)}
    gates = {path for path in users if path.startswith("featureGates.")}

    assert (
        _paths(values)
        - _named(schema, schema)
        - {
            f"kubeletPlugin.containers.plugin.resources.{part}"
            for part in ("requests.cpu", "requests.memory", "limits.memory")
        }
        - {f"webhook.resources.{part}" for part in ("requests.cpu", "requests.memory", "limits.memory")}
        == set()
    )
    # `global` belongs to charts above this one; gates are off where nothing is said.
    assert users - gates - _paths(values) == {"global"}


def test_only_maps_of_users_are_open() -> None:
    """An object takes unknown keys only where users fill it, or where Kubernetes defines what is in it."""
    schema = reference.read_schema()
    open_ones = set()

    def look(node: Any, path: str) -> None:
        if isinstance(node, dict):
            kinds = node.get("type", ())
            if "object" in kinds and node.get("additionalProperties") is not False:
                open_ones.add(path)
            for name, part in node.items():
                look(part, f"{path}/{name}")

    look(schema, "")
    of_kubernetes = {"quantities", "strings", "securityContext", "nodeAffinity", "podAffinity", "podAntiAffinity"}
    of_kubernetes |= {"claims/items", "matchExpressions/items", "metricsFrom/items", "global", "image"}
    assert {path for path in open_ones if not path.endswith(tuple(of_kubernetes))} == set()
    assert schema["properties"]["image"]["additionalProperties"] is False


def test_gates_are_those_of_the_plugin() -> None:
    """The schema takes exactly the gates that the plugin knows."""
    (flag,) = [flag for flag in FLAGS if flag.name == "feature-gates"]
    gates = reference.read_schema()["properties"]["featureGates"]["properties"]

    with pytest.raises(ValueError, match="gates that this version has") as refused:
        flag.read("Unknown=true")
    assert f"({', '.join(sorted(gates))})" in str(refused.value)


@pytest.mark.parametrize(
    ("value", "where", "what"),
    [
        pytest.param("imagee.tag=x", "at ''", "'imagee' not allowed", id="top"),
        pytest.param("image.repo=x", "at '/image'", "'repo' not allowed", id="typo"),
        pytest.param(
            "image.pullPolicy=Sometimes", "at '/image/pullPolicy'", "'Always', 'IfNotPresent', 'Never'", id="enum"
        ),
        pytest.param("kubeletPlugin.tolerance=x", "at '/kubeletPlugin'", "'tolerance' not allowed", id="plugin"),
        pytest.param(
            "kubeletPlugin.containers.plugin.healthcheckPort=no",
            "at '/kubeletPlugin/containers/plugin/healthcheckPort'",
            "got string, want integer",
            id="port-type",
        ),
        pytest.param(
            "kubeletPlugin.containers.plugin.metricsPort=70000",
            "at '/kubeletPlugin/containers/plugin/metricsPort'",
            "maximum: got 70,000, want 65,535",
            id="port-range",
        ),
        pytest.param(
            "kubeletPlugin.repartition=always", "at '/kubeletPlugin/repartition'", "'per-gpu'", id="repartition"
        ),
        pytest.param(
            "kubeletPlugin.sysfsPath=sys", "at '/kubeletPlugin/sysfsPath'", "does not match pattern", id="relative"
        ),
        pytest.param("kubeletPlugin.onlyOn=gpu", "at '/kubeletPlugin/onlyOn'", "'auto', 'nfd', 'all'", id="nodes"),
        pytest.param(
            "kubeletPlugin.updateStrategy.type=Recreate",
            "at '/kubeletPlugin/updateStrategy/type'",
            "'OnDelete'",
            id="strategy",
        ),
        pytest.param(
            "kubeletPlugin.affinity.nodeAfinity.x=y",
            "at '/kubeletPlugin/affinity'",
            "'nodeAfinity' not allowed",
            id="affinity",
        ),
        pytest.param(
            "kubeletPlugin.containers.plugin.resources.limit.cpu=1",
            "plugin/resources'",
            "'limit' not allowed",
            id="resources",
        ),
        pytest.param(
            "featureGates.DynamicPartitions=true", "at '/featureGates'", "'DynamicPartitions' not allowed", id="gate"
        ),
        pytest.param(
            "featureGates.DynamicPartitioning=on",
            "at '/featureGates/DynamicPartitioning'",
            "want boolean",
            id="gate-type",
        ),
        pytest.param("deviceClass.modes.mpx.create=true", "at '/deviceClass/modes'", "'mpx' not allowed", id="mode"),
        pytest.param(
            "deviceClass.extendedResourceName=gpu",
            "at '/deviceClass/extendedResourceName'",
            "does not match pattern",
            id="resource",
        ),
        pytest.param(
            "webhook.tls.mode=magic", "at '/webhook/tls/mode'", "'self-managed', 'cert-manager', 'secret'", id="tls"
        ),
        pytest.param("webhook.replicas=0", "at '/webhook/replicas'", "minimum: got 0, want 1", id="replicas"),
        pytest.param(
            "admissionPolicy.enabled=maybe", "at '/admissionPolicy/enabled'", "'auto', true, false", id="switch"
        ),
        pytest.param(
            "networkPolicy.apiServer.ports={https}", "at '/networkPolicy/apiServer/ports/0'", "want integer", id="ports"
        ),
        pytest.param("serviceAccount.create=sure", "at '/serviceAccount/create'", "want boolean", id="account"),
        pytest.param("cdi=/run/cdi", "at '/cdi'", "got string, want object", id="not-a-map"),
    ],
)
def test_helm_names_what_is_wrong(value: str, where: str, what: str) -> None:
    """A wrong key, type or value is refused by Helm itself, with its path and what is wrong with it."""
    done = helm.render(*IMAGE, "--set", value)

    assert done.returncode != 0
    assert where in done.stderr
    assert what in done.stderr


def test_values_of_a_chart_above_are_taken(tmp_path: Path) -> None:
    """A part of another chart gets `global` from it, and null takes a default away."""
    file = tmp_path / "values.yaml"
    file.write_text(
        yaml.safe_dump(
            {"global": {"any": 1}, "kubeletPlugin": {"containers": {"plugin": {"resources": {"limits": None}}}}}
        )
    )
    done = helm.render(*IMAGE, "--values", str(file))

    assert done.returncode == 0, done.stderr


def test_the_page_says_the_same() -> None:
    """The page is what schema and values give; AMDGPU_DRA_REFERENCE names a file to write it to."""
    if target := os.environ.get("AMDGPU_DRA_REFERENCE"):
        Path(target).write_text(reference.render())

    assert Path(reference.PAGE).read_text() == reference.render(), (
        f"renew with AMDGPU_DRA_REFERENCE=$PWD/{reference.PAGE}, see charts/README.md"
    )

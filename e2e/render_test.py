"""Every golden render of the chart is taken by a real API server, which checks each field."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import Server, chart_objects, open_server

GOLDEN = sorted(Path("charts/testdata/golden").glob("*.yaml"))
# Of other projects; a server without their definitions does not know them.
FOREIGN = {"Certificate", "Issuer", "PodMonitor", "PrometheusRule", "SecurityContextConstraints"}

CREATED = 201


async def _paths(server: Server, group_version: str) -> dict[str, str]:
    """Kind -> where objects of it are made, with a place for the namespace."""
    root = f"/api/{group_version}" if group_version == "v1" else f"/apis/{group_version}"
    found = (await server.call("GET", root)).body["resources"]
    return {
        item["kind"]: f"{root}/namespaces/{{}}/{item['name']}" if item["namespaced"] else f"{root}/{item['name']}"
        for item in found
        if "/" not in item["name"]
    }


def _objects(path: Path) -> list[dict[str, Any]]:
    return [item for item in yaml.safe_load_all(path.read_text()) if item]


async def _refusals(server: Server, objects: dict[str, list[dict[str, Any]]]) -> dict[str, str]:
    """What the server says of each object that it does not take, by set and object."""
    known: dict[str, dict[str, str]] = {}
    refused = {}
    for name, items in objects.items():
        for item in (item for item in items if item["kind"] not in FOREIGN):
            version = item["apiVersion"]
            known[version] = known.get(version) or await _paths(server, version)
            where = known[version][item["kind"]].format(item["metadata"].get("namespace"))
            answer = await server.call("POST", f"{where}?dryRun=All&fieldValidation=Strict", item)
            if answer.status != CREATED:
                refused[f"{name}: {item['kind']}/{item['metadata']['name']}"] = answer.body["message"]
    return refused


async def _ask(objects: dict[str, list[dict[str, Any]]], served: str = "") -> dict[str, str]:
    """What a new server refuses of these."""
    namespaces = {item["metadata"].get("namespace") for items in objects.values() for item in items}
    async with asyncio.timeout(240), open_server(served) as server:
        for name in sorted(filter(None, namespaces - {"default"})):
            await server.make("/api/v1/namespaces", {"metadata": {"name": name}})
        return await _refusals(server, objects)


def test_a_server_takes_what_the_chart_renders() -> None:
    """Each object of each golden file passes admission and validation, with no field that the server does not know."""
    objects = {path.stem: _objects(path) for path in GOLDEN}

    assert len(objects) >= 12
    assert asyncio.run(_ask(objects)) == {}


@pytest.mark.parametrize(("version", "kubernetes"), [("v1", "1.34.0"), ("v1beta2", "1.33.0"), ("v1beta1", "1.32.0")])
def test_a_server_of_one_version_takes_the_classes(version: str, kubernetes: str) -> None:
    """Classes and the test's claim, rendered for a Kubernetes whose newest version it is, where it is served alone."""
    modes = (f"deviceClass.modes.{mode}.create=true" for mode in ("spx", "dpx", "tpx", "qpx", "cpx"))
    kinds = {"DeviceClass", "ResourceClaimTemplate"}
    found = [item for item in chart_objects(*modes, kubernetes=kubernetes) if item["kind"] in kinds]
    served = ",".join(f"resource.k8s.io/{name}={str(name == version).lower()}" for name in ("v1", "v1beta2", "v1beta1"))

    assert [item["apiVersion"] for item in found] == [f"resource.k8s.io/{version}"] * 8
    assert asyncio.run(_ask({version: found}, served)) == {}


@pytest.mark.parametrize("kind", sorted(FOREIGN))
def test_foreign_kinds_are_rendered(kind: str) -> None:
    """What is left out here is in some golden file, so the list does not outlive its reason."""
    assert any(item["kind"] == kind for path in GOLDEN for item in _objects(path))

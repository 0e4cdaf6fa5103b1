"""Every golden render of the chart is taken by a real API server, which checks each field."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import Server, open_server

GOLDEN = sorted(Path("charts/testdata/golden").glob("*.yaml"))
# Of other projects; a server without their definitions does not know them.
FOREIGN = {"Certificate", "Issuer", "PodMonitor", "PrometheusRule", "SecurityContextConstraints"}


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


async def _refusals(server: Server) -> dict[str, str]:
    """What the server says of each object that it does not take, by file and object."""
    known: dict[str, dict[str, str]] = {}
    refused = {}
    for path in GOLDEN:
        for item in (item for item in _objects(path) if item["kind"] not in FOREIGN):
            version = item["apiVersion"]
            known[version] = known.get(version) or await _paths(server, version)
            where = known[version][item["kind"]].format(item["metadata"].get("namespace"))
            answer = await server.call("POST", f"{where}?dryRun=All&fieldValidation=Strict", item)
            if answer.status != 201:
                refused[f"{path.stem}: {item['kind']}/{item['metadata']['name']}"] = answer.body["message"]
    return refused


def test_a_server_takes_what_the_chart_renders() -> None:
    """Each object of each golden file passes admission and validation, with no field that the server does not know."""
    namespaces = {item["metadata"].get("namespace") for path in GOLDEN for item in _objects(path)} - {None, "default"}

    async def run() -> dict[str, str]:
        async with asyncio.timeout(240), open_server() as server:
            for name in sorted(filter(None, namespaces)):
                await server.make("/api/v1/namespaces", {"metadata": {"name": name}})
            return await _refusals(server)

    assert len(GOLDEN) >= 12
    assert asyncio.run(run()) == {}


@pytest.mark.parametrize("kind", sorted(FOREIGN))
def test_foreign_kinds_are_rendered(kind: str) -> None:
    """What is left out here is in some golden file, so the list does not outlive its reason."""
    assert any(item["kind"] == kind for path in GOLDEN for item in _objects(path))

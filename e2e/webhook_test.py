"""The webhook as the chart configures it, called by the real API server; and the certificate that it makes there."""

import asyncio
import base64
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness import Server, chart_objects, open_server

from amdgpu_dra.api.config import API_VERSION
from amdgpu_dra.edge.certificates import Pair, make_pair, renewal_reason
from amdgpu_dra.testing.webhook import webhook_process

VERSIONS = ("v1", "v1beta2", "v1beta1")
GROUP = "/apis/resource.k8s.io"
HOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
SECRETS = "/api/v1/namespaces/amd-gpu/secrets"
GOOD, BAD = {"apiVersion": API_VERSION, "kind": "GpuConfig"}, {"apiVersion": API_VERSION, "kind": "GpuConfg"}
UNGUARDED = "device.attributes['gpu.amd.com'].model == 'MI300X'"


def _configuration(*values: str) -> dict[str, Any]:
    """The one of the chart."""
    objects = chart_objects("webhook.enabled=true", *values)
    (found,) = [item for item in objects if item["kind"] == "ValidatingWebhookConfiguration"]
    return found


@asynccontextmanager
async def _webhook(work: Path) -> AsyncIterator[dict[str, Any]]:
    """A webhook that runs, as the `clientConfig` that leads to it."""
    async with webhook_process(work) as process:
        url = f"https://localhost:{process.port}/validate-resource-claim-parameters"
        yield {"url": url, "caBundle": base64.b64encode(process.authority).decode()}


def _devices(version: str, parameters: object, expression: str = "true") -> dict[str, Any]:
    inner = {"deviceClassName": "gpu.amd.com", "selectors": [{"cel": {"expression": expression}}]}
    request = {"name": "r", **inner} if version == "v1beta1" else {"name": "r", "exactly": inner}
    config = [{"opaque": {"driver": "gpu.amd.com", "parameters": parameters}}] if parameters else []
    return {"devices": {"requests": [request], "config": config}}


def _object(version: str, kind: str, name: str, spec: object) -> dict[str, Any]:
    return {"apiVersion": f"resource.k8s.io/{version}", "kind": kind, "metadata": {"name": name}, "spec": spec}


def test_the_api_server_asks_it_for_every_version() -> None:
    """Claims, templates and classes: what is wrong is refused with its path, what cannot work is warned of."""

    async def run() -> None:
        served = ",".join(f"resource.k8s.io/{version}=true" for version in VERSIONS)
        async with asyncio.timeout(240), open_server(served) as server, _webhook(server.work) as client:
            configuration = _configuration()
            for hook in configuration["webhooks"]:
                hook["clientConfig"] = client
            await server.make(HOOKS, configuration)
            await _wait_asked(server)
            for version in VERSIONS:
                await _check_version(server, version)
            await _check_classes(server)

    asyncio.run(run())


async def _wait_asked(server: Server) -> None:
    """The API server reads a new configuration within moments; dry runs find out when."""
    body = _object("v1", "ResourceClaim", "probe", _devices("v1", BAD))
    while (await server.call("POST", f"{GROUP}/v1/namespaces/default/resourceclaims?dryRun=All", body)).status == 201:
        await asyncio.sleep(0.1)


async def _check_version(server: Server, version: str) -> None:
    claims = f"{GROUP}/{version}/namespaces/default/resourceclaims"
    wrong = await server.call("POST", claims, _object(version, "ResourceClaim", "bad", _devices(version, BAD)))
    assert wrong.status == 422, wrong.body
    path = "spec.devices.config[0].opaque.parameters.kind"
    assert f"{path}: expected 'GpuConfig', found 'GpuConfg'" in wrong.body["message"]
    assert [cause["field"] for cause in wrong.body["details"]["causes"]] == [path]

    right = await server.call(
        "POST", claims, _object(version, "ResourceClaim", f"good-{version}", _devices(version, GOOD, UNGUARDED))
    )
    assert right.status == 201, right.body
    assert "fails on devices without model" in " ".join(right.warnings)
    plain = await server.call(
        "POST", claims, _object(version, "ResourceClaim", f"plain-{version}", _devices(version, None, UNGUARDED))
    )
    assert plain.status == 201, plain.body
    assert "fails on devices without model" in " ".join(plain.warnings)

    templates = f"{GROUP}/{version}/namespaces/default/resourceclaimtemplates"
    spec = {"spec": _devices(version, BAD)}
    refused = await server.call("POST", templates, _object(version, "ResourceClaimTemplate", "bad", spec))
    assert "spec.spec.devices.config[0].opaque.parameters.kind" in refused.body["message"]


async def _check_classes(server: Server) -> None:
    classes = f"{GROUP}/v1/deviceclasses"
    spec = {"config": [{"opaque": {"driver": "gpu.amd.com", "parameters": BAD}}]}
    refused = await server.call("POST", classes, _object("v1", "DeviceClass", "bad", spec))
    assert "spec.config[0].opaque.parameters.kind" in refused.body["message"]
    unguarded = {"selectors": [{"cel": {"expression": "device.attributes['gpu.amd.com'].type == 'amdgpu'"}}]}
    warned = await server.call("POST", classes, _object("v1", "DeviceClass", "warned", unguarded))
    assert warned.status == 201, warned.body
    assert "fails on devices of other drivers" in " ".join(warned.warnings)
    foreign = {"config": [{"opaque": {"driver": "gpu.nvidia.com", "parameters": BAD}}]}
    assert (await server.call("POST", classes, _object("v1", "DeviceClass", "foreign", foreign))).status == 201


def test_without_an_answer_only_configurations_are_refused() -> None:
    """The webhook is gone: objects with configurations of this driver have to wait, all others pass."""

    async def run() -> None:
        async with asyncio.timeout(240), open_server() as server:
            configuration = _configuration("webhook.timeoutSeconds=1")
            for hook in configuration["webhooks"]:
                hook["clientConfig"] = {"url": "https://localhost:9/none"}
            await server.make(HOOKS, configuration)
            claims = f"{GROUP}/v1/namespaces/default/resourceclaims"
            body = _object("v1", "ResourceClaim", "configured", _devices("v1", GOOD))
            while (answer := await server.call("POST", f"{claims}?dryRun=All", body)).status == 201:
                await asyncio.sleep(0.1)
            assert answer.status == 500
            assert "config.resourceclaims.gpu.amd.com" in answer.body["message"]

            await server.make(claims, _object("v1", "ResourceClaim", "selected", _devices("v1", None, UNGUARDED)))

    asyncio.run(run())


def _make_certificate(work: Path) -> None:
    target = ("--secret=amd-gpu/hook-tls", "--service=hook", "--configuration=hook")
    subprocess.run(
        [sys.executable, "-m", "amdgpu_dra.apps.webhook", "certificate", *target, f"--kubeconfig={work}/kubeconfig"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
    )


def test_the_certificate_is_made_kept_and_renewed() -> None:
    """Before and after the configuration is there, again without a change, and with a new authority beside the old."""

    async def run() -> None:
        async with asyncio.timeout(240), open_server() as server:
            await server.make("/api/v1/namespaces", {"metadata": {"name": "amd-gpu"}})
            await asyncio.to_thread(_make_certificate, server.work)
            first = await _kept(server)
            assert renewal_reason(first, ("hook.amd-gpu.svc",), datetime.now(UTC)) is None

            configuration = _configuration() | {"metadata": {"name": "hook"}}
            made = await server.make(HOOKS, configuration)
            await asyncio.to_thread(_make_certificate, server.work)
            assert await _kept(server) == first
            assert await _bundles(server) == {first.authority}
            owners = (await server.call("GET", f"{SECRETS}/hook-tls")).body["metadata"]["ownerReferences"]
            assert [owner["uid"] for owner in owners] == [made["metadata"]["uid"]]

            version = (await server.call("GET", f"{SECRETS}/hook-tls")).body["metadata"]["resourceVersion"]
            await asyncio.to_thread(_make_certificate, server.work)
            assert (await server.call("GET", f"{SECRETS}/hook-tls")).body["metadata"]["resourceVersion"] == version

            await _spoil(server)
            await asyncio.to_thread(_make_certificate, server.work)
            second = await _kept(server)
            assert renewal_reason(second, ("hook.amd-gpu.svc",), datetime.now(UTC)) is None
            assert await _bundles(server) == {second.authority + first.authority}

    asyncio.run(run())


async def _kept(server: Server) -> Pair:
    data = (await server.call("GET", f"{SECRETS}/hook-tls")).body["data"]
    parts = {name: base64.b64decode(text) for name, text in data.items()}
    return Pair(authority=parts["ca.crt"], certificate=parts["tls.crt"], key=parts["tls.key"])


async def _bundles(server: Server) -> set[bytes]:
    found = (await server.call("GET", f"{HOOKS}/hook")).body["webhooks"]
    return {base64.b64decode(hook["clientConfig"]["caBundle"]) for hook in found}


async def _spoil(server: Server) -> None:
    """Makes the certificate one for another name."""
    secret = (await server.call("GET", f"{SECRETS}/hook-tls")).body
    other = make_pair(("other.amd-gpu.svc",), datetime.now(UTC))
    secret["data"] |= {
        "tls.crt": base64.b64encode(other.certificate).decode(),
        "tls.key": base64.b64encode(other.key).decode(),
    }
    answer = await server.call("PUT", f"{SECRETS}/hook-tls", secret)
    assert answer.status == 200, answer.body

"""The real API server with one version of resource.k8s.io alone, and the real plugin that has to live with it."""

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from harness import find_pieces

from amdgpu_dra.api.resource import GROUP, VERSIONS
from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.edge.faketree import read_fleet, write_tree
from amdgpu_dra.testing.fakeapi import Client, real_api, write_kubeconfig
from amdgpu_dra.testing.fakeapi.client import allocation_of
from amdgpu_dra.testing.fakekubelet import FakeKubelet, Setting, assemble, start_plugin

NODE, DRIVER = "n1", "gpu.amd.com"
GPU, NOT_THERE = "gpu-0000-05-00-0", "gpu-0000-ff-00-0"
DYNAMIC = ("--feature-gates=DynamicPartitioning=true", "--repartition=per-gpu")
SPEC = {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": DRIVER}}]}}
EVENTS = "/apis/events.k8s.io/v1/namespaces/default/events"


@dataclass
class Seen:
    """What came of a claim that can be served and of one that cannot, and what the server kept."""

    slices: list[dict[str, Any]]
    cdi_ids: list[str]
    refusal: str
    events: list[dict[str, Any]]
    left: list[str]
    log: str


def _only(version: str) -> str:
    """The server's setting by which it serves this version and no other."""
    return ",".join(f"{GROUP}/{name}={str(name == version).lower()}" for name in VERSIONS)


async def _wait_for_event(client: Client) -> list[dict[str, Any]]:
    while not (events := (await client.call("GET", EVENTS))["items"]):
        await asyncio.sleep(0.05)
    found: list[dict[str, Any]] = events
    return found


async def _use(setting: Setting, client: Client, *flags: str) -> Seen:
    """Starts a plugin, prepares and unprepares a claim, and lets another be refused."""
    await client.make_node(NODE)
    plugin, kubelet = await start_plugin(setting, *flags), FakeKubelet(setting.work / "registry")
    try:
        slices = await client.wait_complete()
        await kubelet.register(DRIVER)
        good = await client.make_claim("good", SPEC, allocation_of(NODE, [("gpu", GPU)]))
        bad = await client.make_claim("bad", SPEC, allocation_of(NODE, [("gpu", NOT_THERE)]))
        answers = await kubelet.prepare(good, bad)
        events = await _wait_for_event(client)
        good_answer, bad_answer = (answers[claim["metadata"]["uid"]] for claim in (good, bad))
        assert good_answer.error == ""
        unprepared = await kubelet.unprepare(good, bad)
        assert [answer.error for answer in unprepared.values()] == ["", ""]
        return Seen(
            slices=slices,
            cdi_ids=[name for device in good_answer.devices for name in device.cdi_device_ids],
            refusal=bad_answer.error,
            events=events,
            left=[path.name for folder in (plugin.cdi, plugin.records) for path in folder.glob("*.json")],
            log=plugin.log.read_text(),
        )
    finally:
        await kubelet.close()
        await plugin.stop()


def _see(version: str, *flags: str, gates: str = "") -> Seen:
    """What comes of it on a server of this version alone."""
    pieces = find_pieces()
    if not pieces.binaries:
        pytest.skip("an API server of its own is made only where there is no Docker")
    binaries = Path(pieces.binaries)

    async def run() -> Seen:
        with tempfile.TemporaryDirectory(prefix="amdgpu-", dir="/tmp") as folder:
            work = Path(folder)
            write_tree(render(read_fleet("mi300x-8-spx")), work / "tree", nodes=False)
            setting = Setting.of(work, assemble(work), NODE)
            async with (
                asyncio.timeout(150),
                real_api(binaries, work, gates=gates, served=_only(version)) as (address, token),
                Client(address, token, version=version) as client,
            ):
                write_kubeconfig(work / "kubeconfig", address, token)
                return await _use(setting, client, *flags)

    return asyncio.run(run())


@pytest.mark.parametrize("version", VERSIONS)
def test_a_server_of_one_version_is_served(version: str) -> None:
    """Slices with all their devices, a claim that comes and goes, and an Event of another, which names that version."""
    seen = _see(version)

    devices = [device for item in seen.slices for device in item["spec"]["devices"]]
    assert [device["name"] for device in devices][:1] == [GPU]
    assert len(devices) == 8
    assert all(device["attributes"]["productName"] and device["capacity"]["memory"] for device in devices)
    assert len(seen.cdi_ids) > 0
    assert NOT_THERE in seen.refusal
    assert [event["regarding"]["apiVersion"] for event in seen.events] == [f"{GROUP}/{version}"]
    assert seen.left == []
    assert f"is spoken as {version}" in seen.log
    assert "came back otherwise" not in seen.log


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_counters_are_kept_in_older_versions(version: str) -> None:
    """What a version can say depends on the release: on this one v1beta1 has the counters of every partition too."""
    seen = _see(version, *DYNAMIC, gates="DRAPartitionableDevices=true")

    assert sum(len(item["spec"].get("devices", [])) for item in seen.slices) == 8 * 15
    assert sum(len(item["spec"].get("sharedCounters", [])) for item in seen.slices) == 8
    consumers = [device for item in seen.slices for device in item["spec"].get("devices", [])]
    assert all("consumesCounters" in device for device in consumers)
    assert "came back otherwise" not in seen.log

"""The plugin as a real process on real sockets, with the kubelet's and the API server's side of our own."""

import asyncio
import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.edge.faketree import read_fleet, write_tree
from amdgpu_dra.testing.fakeapi.client import SLICES
from amdgpu_dra.testing.fakekubelet import FakeKubelet, free_port, probe, resolve, start_plugin
from amdgpu_dra.testing.fakenode import DRIVER, World, tell

FIRST, SECOND = "gpu-0000-05-00-0", "gpu-0000-26-00-0"


def _ids(answer: Any) -> list[str]:
    return [ident for device in answer.devices for ident in device.cdi_device_ids]


async def _names(world: World) -> list[str]:
    return [device["name"] for device in await world.devices()]


def test_every_partition_is_published_where_the_cluster_keeps_counters() -> None:
    """8 MI300X are 120 devices and 8 sets of counters in 3 slices, in a cluster that drops counters 8 whole GPUs."""

    async def story(world: World) -> None:
        flags = ("--feature-gates=DynamicPartitioning=true", "--repartition=per-gpu")
        plugin, kubelet = await world.start(*flags)
        while len(slices := await world.published()) < 3:
            await asyncio.sleep(0.01)
        assert [len(item["spec"].get("devices", [])) for item in slices] == [64, 56, 0]
        assert len(slices[2]["spec"]["sharedCounters"]) == 8
        await plugin.stop()
        await kubelet.close()

        world.api.drops_counters = True
        plugin, _ = await world.start(*flags)
        # Slices that are not wanted go first; the last is rewritten after them.
        while len(await _names(world)) != 8:
            await asyncio.sleep(0.01)
        assert len(await world.published()) == 1
        assert "keeps no counters: in a trial of a ResourceSlice" in plugin.log.read_text()
        await plugin.stop()

    tell(story)


def test_a_claim_from_registration_to_release() -> None:
    """Registered, published, prepared, resolved as the runtime would, repeated, released; nothing is left."""

    async def story(world: World) -> None:
        plugin, kubelet = await world.start()
        (item,) = await world.published()
        assert [device["name"] for device in item["spec"]["devices"]][:2] == [FIRST, SECOND]
        claim = await world.claim("c", FIRST, SECOND)
        uid = claim["metadata"]["uid"]
        first = (await kubelet.prepare(claim))[uid]
        edits = resolve(plugin.cdi, _ids(first))
        assert sorted(edits["nodes"]) == [
            "/dev/dri/card0",
            "/dev/dri/card8",
            "/dev/dri/renderD128",
            "/dev/dri/renderD136",
            "/dev/kfd",
        ]
        assert first == (await kubelet.prepare(claim))[uid]
        for path in plugin.cdi.glob("*.json"):
            path.unlink()
        assert first == (await kubelet.prepare(claim))[uid]
        assert resolve(plugin.cdi, _ids(first)) == edits
        assert (await kubelet.unprepare(claim))[uid].error == ""
        assert not [*plugin.cdi.glob("*.json"), *plugin.records.glob("*.json")]
        assert await plugin.stop() == 0
        assert not plugin.registry.joinpath(f"{DRIVER}-reg.sock").exists()
        assert len(await world.client.slices()) == 1

    tell(story)


def _open_files(pid: int) -> list[str]:
    return [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]


def test_no_device_is_kept_open() -> None:
    """Of `/dev/kfd`, DRM nodes and mode files the running plugin has none open, before and after a claim."""

    async def story(world: World) -> None:
        plugin, kubelet = await world.start()
        await world.published()
        claim = await world.claim("c", FIRST)
        for call in (kubelet.prepare, kubelet.unprepare):
            await call(claim)
            targets = _open_files(plugin.process.pid)
            assert any(target.startswith("socket:") for target in targets)
            assert not [target for target in targets if "kfd" in target or "/dri/" in target or "partition" in target]
        await plugin.stop()

    tell(story)


def test_killed_and_started_again() -> None:
    """After kill -9 the claim is still held, its device is nobody else's, and the slices are as they were."""

    async def story(world: World) -> None:
        plugin, kubelet = await world.start()
        before = await world.published()
        held, other = await world.claim("held", FIRST), await world.claim("other", FIRST)
        first = (await kubelet.prepare(held))[held["metadata"]["uid"]]
        await plugin.stop(signal.SIGKILL)
        await kubelet.close()
        (plugin.registry / f"{DRIVER}-reg.sock").unlink()

        plugin, kubelet = await world.start()
        assert first == (await kubelet.prepare(held))[held["metadata"]["uid"]]
        refused = (await kubelet.prepare(other))[other["metadata"]["uid"]].error
        assert "prepared for claim default/held" in refused
        await kubelet.unprepare(held)
        assert (await kubelet.prepare(other))[other["metadata"]["uid"]].error == ""
        assert before == await world.client.slices()
        await plugin.stop()

    tell(story)


def test_the_api_server_comes_late() -> None:
    """The sockets serve without it; what is held works; the slices follow when it is there."""

    async def story(world: World) -> None:
        port = int(world.api.address.rpartition(":")[2])
        await world.api.stop()
        plugin, kubelet = await world.start()
        stranger = {"metadata": {"namespace": "default", "name": "x", "uid": "x"}}
        assert (await kubelet.unprepare(stranger))["x"].error == ""
        assert "API server" in (await kubelet.prepare(stranger))["x"].error
        await world.api.start(port)
        assert len(await world.published()) == 1
        await plugin.stop()

    tell(story)


def test_a_stop_lets_calls_in_flight_end() -> None:
    """After SIGTERM the plugin is out of the kubelet's sight at once, and a Prepare under way is answered."""

    async def story(world: World) -> None:
        plugin, kubelet = await world.start()
        await world.published()
        claim = await world.claim("c", FIRST)
        world.api.answering.clear()
        asked = len(world.api.requests)
        call = asyncio.create_task(kubelet.prepare(claim))
        while len(world.api.requests) == asked:
            await asyncio.sleep(0.005)
        plugin.process.send_signal(signal.SIGTERM)
        while plugin.registry.joinpath(f"{DRIVER}-reg.sock").exists():
            await asyncio.sleep(0.005)
        world.api.answering.set()
        assert (await call)[claim["metadata"]["uid"]].error == ""
        assert await plugin.process.wait() == 0
        assert len([*plugin.records.glob("*.json")]) == 1

    tell(story)


def test_health_tells_alive_from_ready() -> None:
    """Alive as soon as the sockets answer, whatever the API server does; ready once the slices are accepted."""

    async def story(world: World) -> None:
        port = int(world.api.address.rpartition(":")[2])
        await world.api.stop()
        health = free_port()
        plugin, _ = await world.start(f"--healthcheck-port={health}")
        assert await probe(health, "liveness")
        assert not await probe(health, "readiness")
        await world.api.start(port)
        while not await probe(health, "readiness"):
            await asyncio.sleep(0.02)
        await plugin.stop()

    tell(story)


def test_metrics_are_served_where_a_port_is_set() -> None:
    """A scrape after Prepare and Unprepare has both, the devices and the requests; no label names a claim."""

    async def story(world: World) -> None:
        port = free_port()
        plugin, kubelet = await world.start(f"--metrics-port={port}")
        await world.published()
        claim = await world.claim("a-claim", FIRST)
        await kubelet.prepare(claim)
        await kubelet.unprepare(claim)
        text = await asyncio.to_thread(_scrape, port)
        found = {(item.name, *sorted(item.labels.items())): item.value for item in _samples(text)}
        for method in ("Prepare", "Unprepare"):
            assert found["amdgpu_dra_claim_seconds_count", ("method", method), ("result", "ok")] == 1
        assert sum(value for key, value in found.items() if key[0] == "amdgpu_dra_devices_published") == 8
        assert found[("amdgpu_dra_registered",)] == 1
        assert any(key[0] == "amdgpu_dra_api_request_seconds_count" and ("code", "200") in key for key in found)
        assert "a-claim" not in text
        assert claim["metadata"]["uid"] not in text
        second = world.setting.work / "second"
        second.mkdir()
        again = await start_plugin(replace(world.setting, work=second), f"--metrics-port={port}")
        assert await again.process.wait() == 1
        assert f"metrics port {port}: expected a free TCP port" in again.log.read_text().splitlines()[-1]
        await plugin.stop()

    tell(story)


def test_without_a_port_nothing_of_metrics_is_loaded() -> None:
    """The command of a plugin without the flag never imports the library: Python's own list of imports says so."""

    async def story(world: World) -> None:
        setting = replace(world.setting, environment={**world.setting.environment, "PYTHONPROFILEIMPORTTIME": "1"})
        plugin = await start_plugin(setting)
        kubelet = FakeKubelet(plugin.registry)
        await kubelet.register(DRIVER)
        await world.published()
        await plugin.stop()
        log = plugin.log.read_text()
        assert "amdgpu_dra.edge.telemetry" in log
        assert "prometheus_client" not in log

    tell(story)


def _scrape(port: int) -> str:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def _samples(text: str) -> list[Sample]:
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def test_wiped_slices_come_back() -> None:
    """As the kubelet does at its start, all slices are deleted; they are published again at once."""

    async def story(world: World) -> None:
        plugin, _ = await world.start()
        (item,) = await world.published()
        await world.client.call("DELETE", f"{SLICES}/{item['metadata']['name']}")
        assert FIRST in await _names(world)
        await plugin.stop()

    tell(story)


def test_a_gpu_that_goes_is_taken_from_the_slice() -> None:
    """A change of the tree is seen within the rescan interval, and published."""

    async def story(world: World) -> None:
        plugin, _ = await world.start("--rescan-interval=0.1")
        await world.published()
        fleet = read_fleet("mi300x-8-spx")
        write_tree(render(replace(fleet, gpus=fleet.gpus[1:])), world.setting.tree, nodes=False)
        # A look may come while the tree is being written, and see another seven.
        while len(devices := await _names(world)) != 7 or FIRST in devices:
            await asyncio.sleep(0.02)
        await plugin.stop()

    tell(story)


def test_credentials_that_are_not_there_end_with_one_line() -> None:
    """They are read when all else is served: nothing but the one line is said, and no socket stays."""

    async def story(world: World) -> None:
        broken = world.setting.work / "broken"
        config = json.loads((world.setting.work / "kubeconfig").read_text())
        config["users"][0]["user"] = {"tokenFile": "/no/such/token"}
        broken.write_text(json.dumps(config))
        plugin = await start_plugin(world.setting, f"--kubeconfig={broken}")
        assert await plugin.process.wait() == 2
        log = plugin.log.read_text()
        assert "Traceback" not in log
        assert "never awaited" not in log
        assert "expected credentials for the API server, found" in log.splitlines()[-1]
        assert "/no/such/token" in log.splitlines()[-1]
        assert list(world.setting.work.rglob("*.sock")) == []

    tell(story)


@pytest.mark.parametrize(
    ("flags", "status", "text"),
    [
        (["--dev-root=/dev"], 2, "--allow-fake-device-nodes: expected a device root other than /dev"),
        (["--kubeconfig=/no/such"], 2, "flag --kubeconfig /no/such: expected a kubeconfig file"),
        (["--cdi-root=/proc/cdi"], 1, "CDI folder /proc/cdi: expected to make it"),
        ([f"--kubelet-plugins-directory-path=/tmp/{'x' * 120}"], 2, "bytes; set --kubelet-plugins-directory-path"),
        (["--frobnicate"], 2, "found --frobnicate"),
    ],
    ids=["fake-on-real", "no-kubeconfig", "read-only", "socket-too-long", "unknown-flag"],
)
def test_what_cannot_work_ends_with_one_line(flags: list[str], status: int, text: str) -> None:
    """A status that is not zero and one line that says where, what was expected, what was found and what to do."""

    async def story(world: World) -> None:
        plugin = await start_plugin(world.setting, *flags)
        assert await plugin.process.wait() == status
        log = plugin.log.read_text()
        assert "Traceback" not in log
        assert text in log.splitlines()[-1]

    tell(story)

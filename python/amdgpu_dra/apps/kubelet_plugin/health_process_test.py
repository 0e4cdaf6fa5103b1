"""The health of devices over real sockets, from a plugin that runs as a process."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.edge.faketree import read_fleet, write_tree
from amdgpu_dra.testing.fakeapi.client import CLAIMS
from amdgpu_dra.testing.fakekubelet import FakeKubelet
from amdgpu_dra.testing.fakenode import NODE, World, tell

FLEET = read_fleet("mi300x-8-spx")
FIRST = "gpu-0000-05-00-0"
UNKNOWN, HEALTHY, UNHEALTHY = 0, 1, 2
VERSIONS = ("v1", "v1alpha1")


def _counts(report: dict[str, Any]) -> dict[int, int]:
    found = [item.health for item in report.values()]
    return {health: found.count(health) for health in set(found)}


async def _next(reports: AsyncIterator[dict[str, Any]], seconds: float = 20) -> dict[str, Any]:
    async with asyncio.timeout(seconds):
        return await anext(reports)


async def _until(reports: AsyncIterator[dict[str, Any]], counts: dict[int, int]) -> dict[str, Any]:
    async with asyncio.timeout(20):
        async for report in reports:
            if _counts(report) == counts:
                return report
    raise AssertionError("the stream ended")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_stream_has_all_devices_at_once(version: str) -> None:
    """Both versions are served: every device of the node's pool, looked at just now, good for 60 s."""

    async def story(world: World) -> None:
        plugin, kubelet = await world.start()
        async with aclosing(kubelet.watch(version)) as reports:
            report = await _next(reports)
            assert _counts(report) == {HEALTHY: 8}
            first = report[FIRST]
            assert (first.device.pool_name, first.message, first.health_check_timeout_seconds) == (NODE, "", 60)
            assert abs(time.time() - first.last_updated_time) < 30
        await plugin.stop()

    tell(story)


def test_registration_names_the_services_in_order() -> None:
    """A kubelet takes the first entry that it knows: DRA before health, the newest of each first."""

    async def story(world: World) -> None:
        plugin, _ = await world.start()
        kubelet = FakeKubelet(plugin.registry)
        info = await kubelet.register("gpu.amd.com")
        assert list(info.supported_versions) == [
            "v1.DRAPlugin",
            "v1beta1.DRAPlugin",
            "v1.DRAResourceHealth",
            "v1alpha1.DRAResourceHealth",
        ]
        await kubelet.close()
        await plugin.stop()

    tell(story)


def test_a_gpu_that_goes_is_told_to_every_stream() -> None:
    """Three streams of both versions hear of it, and of its return; the slice has it no more meanwhile."""

    async def story(world: World) -> None:
        plugin, kubelet = await world.start("--rescan-interval=0.1")
        streams = [kubelet.watch(version) for version in (*VERSIONS, "v1")]
        for reports in streams:
            assert _counts(await _next(reports)) == {HEALTHY: 8}
        write_tree(render(replace(FLEET, gpus=FLEET.gpus[1:])), world.setting.tree, nodes=False)
        for reports in streams:
            gone = await _until(reports, {HEALTHY: 7, UNHEALTHY: 1})
            # The tree is not replaced in one go: another GPU may have been missing for one look.
            while gone[FIRST].health != UNHEALTHY:
                gone = await _until(reports, {HEALTHY: 7, UNHEALTHY: 1})
            assert gone[FIRST].message.startswith("GPU 0000:05:00.0: has gone from amdgpu and KFD")
        write_tree(render(FLEET), world.setting.tree, nodes=False)
        for reports in streams:
            await _until(reports, {HEALTHY: 8})
            await reports.aclose()
        await plugin.stop()

    tell(story)


def test_a_tree_that_cannot_be_read_is_told() -> None:
    """Devices are unknown with the error of the look, and what is published stays."""

    async def story(world: World) -> None:
        plugin, kubelet = await world.start("--rescan-interval=0.1")
        await world.published()
        async with aclosing(kubelet.watch()) as reports:
            await _next(reports)
            shutil.move(world.setting.tree / "sys", world.setting.tree / "away")
            lost = await _until(reports, {UNKNOWN: 8})
            assert "cannot be read: sysfs root" in lost[FIRST].message
            assert len(await world.devices()) == 8
            shutil.move(world.setting.tree / "away", world.setting.tree / "sys")
            await _until(reports, {HEALTHY: 8})
        await plugin.stop()

    tell(story)


def test_an_unchanged_report_comes_again() -> None:
    """Within every device's timeout, with nothing changed, and with a look since."""

    async def story(world: World) -> None:
        plugin, kubelet = await world.start("--rescan-interval=0.5")
        async with aclosing(kubelet.watch()) as reports:
            first = await _next(reports)
            again = await _next(reports, 30)
            assert again.keys() == first.keys()
            assert again[FIRST].last_updated_time >= first[FIRST].last_updated_time + 10
        await plugin.stop()

    tell(story)


def test_a_stop_ends_the_streams_and_waits_for_none() -> None:
    """Open streams end without an error, and the process does not wait out its grace period of 20 s for them."""

    async def story(world: World) -> None:
        plugin, kubelet = await world.start()
        streams = [kubelet.watch(version) for version in VERSIONS]
        for reports in streams:
            await _next(reports)
        stopped = asyncio.create_task(plugin.stop(seconds=15))
        async with asyncio.timeout(15):
            assert [[report async for report in reports] for reports in streams] == [[], []]
        assert await stopped == 0
        assert plugin.log.read_text().count("a stream ends") == 2

    tell(story)


def test_a_stream_whose_kubelet_goes_leaves_nothing() -> None:
    """Fifty kubelets come and go without a word: each stream ends, another begins, and claims are served beside."""

    async def story(world: World) -> None:
        plugin, kubelet = await world.start()
        await world.published()
        for _ in range(50):
            other = FakeKubelet(plugin.registry)
            await other.connect(kubelet.endpoint)
            reports = other.watch()
            await _next(reports)
            await other.close()
            await reports.aclose()
        claim = await world.claim("c", FIRST)
        assert (await kubelet.prepare(claim))[claim["metadata"]["uid"]].error == ""
        async with asyncio.timeout(20):
            while plugin.log.read_text().count("a stream ends") < 50:
                await asyncio.sleep(0.02)
        assert await plugin.stop() == 0
        assert "Traceback" not in plugin.log.read_text()

    tell(story)


async def _beside_pods(world: World) -> set[tuple[str, str]]:
    events = await world.client.call("GET", "/apis/events.k8s.io/v1/namespaces/default/events")
    beside = [(item["regarding"], item) for item in events["items"]]
    return {(about["name"], item["reason"]) for about, item in beside if about["kind"] == "Pod"}


def test_another_board_in_the_place_of_a_claims_gpu_is_not_healthy_for_its_pod() -> None:
    """Its files are all well; the pod that has the claim is told, and its device is unhealthy until its GPU is back."""

    async def story(world: World) -> None:
        plugin, kubelet = await world.start("--rescan-interval=0.1")
        await world.published()
        claim = await world.claim("c", FIRST)
        path = f"{CLAIMS.format(namespace='default')}/c"
        claim["status"]["reservedFor"] = [{"resource": "pods", "name": "p", "uid": "1"}]
        await world.client.call("PUT", f"{path}/status", claim)
        assert (await kubelet.prepare(claim))[claim["metadata"]["uid"]].error == ""
        first, *rest = FLEET.gpus
        async with aclosing(kubelet.watch()) as reports:
            # As a board is exchanged: it goes, and another one comes.
            for gpus in (rest, (replace(first, unique_id=first.unique_id + 99), *rest)):
                write_tree(render(replace(FLEET, gpus=tuple(gpus))), world.setting.tree, nodes=False)
                report = await _until(reports, {HEALTHY: 7, UNHEALTHY: 1})
            while "unique id" not in report[FIRST].message:
                report = await _next(reports)
            assert report[FIRST].message.startswith("claim default/c: ClaimQuarantined: ")
            assert report[FIRST].health == UNHEALTHY
            async with asyncio.timeout(20):
                while ("p", "ClaimQuarantined") not in await _beside_pods(world):
                    await asyncio.sleep(0.02)
            write_tree(render(replace(FLEET, gpus=tuple(rest))), world.setting.tree, nodes=False)
            await _until(reports, {HEALTHY: 7, UNHEALTHY: 1})
            write_tree(render(FLEET), world.setting.tree, nodes=False)
            await _until(reports, {HEALTHY: 8})
        await plugin.stop()

    tell(story, seconds=120)

"""A node whose driver is not there yet, goes, or cannot be read: the plugin serves all the same."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.edge.faketree import read_fleet, write_tree
from amdgpu_dra.testing.fakeapi.client import SLICES
from amdgpu_dra.testing.fakekubelet import free_port, probe
from amdgpu_dra.testing.fakenode import World, tell

FIRST = "gpu-0000-05-00-0"
FLEET = "mi300x-8-spx"
LOOKS = "--rescan-interval=0.1"
STRANGER = {"metadata": {"namespace": "default", "name": "x", "uid": "x"}}


def _unload(tree: Path) -> None:
    """Takes away what amdgpu shows in sysfs; the PCI functions stay."""
    for part in ("class/kfd", "class/drm", "bus/pci/drivers/amdgpu", "module/amdgpu"):
        shutil.rmtree(tree / "sys" / part)


def _load(tree: Path) -> None:
    """Makes amdgpu show everything again."""
    shutil.rmtree(tree)
    write_tree(render(read_fleet(FLEET)), tree, nodes=False)


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await holds():
            await asyncio.sleep(0.02)


def _devices(world: World, count: int) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return len(await world.devices()) == count

    return holds


def test_the_driver_is_loaded_later() -> None:
    """Without it the plugin is registered, ready and has an empty slice; the GPUs follow when it is loaded."""

    async def story(world: World) -> None:
        _unload(world.setting.tree)
        health = free_port()
        plugin, kubelet = await world.start(LOOKS, f"--healthcheck-port={health}")
        assert await world.devices() == []
        assert (await kubelet.unprepare(STRANGER))["x"].error == ""
        await _until(lambda: probe(health, "readiness"))
        assert plugin.log.read_text().count("no amdgpu driver is loaded") == 1

        _load(world.setting.tree)
        await _until(_devices(world, 8))
        claim = await world.claim("c", FIRST)
        assert (await kubelet.prepare(claim))[claim["metadata"]["uid"]].error == ""
        await plugin.stop()
        # Each look finds it; what a look before it has said is not said again.
        assert plugin.log.read_text().count("found 8 GPUs, 8 devices") == 1

    tell(story, fleet=FLEET)


def test_the_driver_is_unloaded_while_claims_are_held() -> None:
    """What is held is kept and can be released; the same claim can be prepared again once the driver is back."""

    async def story(world: World) -> None:
        plugin, kubelet = await world.start(LOOKS)
        await world.published()
        stays, goes = await world.claim("stays", FIRST), await world.claim("goes", "gpu-0000-26-00-0")
        first = (await kubelet.prepare(stays, goes))[stays["metadata"]["uid"]]
        _unload(world.setting.tree)
        await _until(_devices(world, 0))
        assert len(await world.published()) == 1
        assert len(list(plugin.records.iterdir())) == 2
        assert (await kubelet.unprepare(goes))[goes["metadata"]["uid"]].error == ""
        refused = (await kubelet.prepare(stays))[stays["metadata"]["uid"]].error
        assert FIRST in refused

        _load(world.setting.tree)
        await _until(_devices(world, 8))
        assert first == (await kubelet.prepare(stays))[stays["metadata"]["uid"]]
        assert (await kubelet.unprepare(stays))[stays["metadata"]["uid"]].error == ""
        await plugin.stop()

    tell(story, fleet=FLEET)


def test_a_tree_that_cannot_be_read_at_the_start() -> None:
    """The plugin lives, is registered, releases claims and says why it is not ready; nothing is published yet."""

    async def story(world: World) -> None:
        sysfs = world.setting.tree / "sys"
        sysfs.rename(away := sysfs.with_name("away"))
        health = free_port()
        plugin, kubelet = await world.start(LOOKS, f"--healthcheck-port={health}", "--logging-format=json")
        assert (await kubelet.unprepare(STRANGER))["x"].error == ""
        claim = await world.claim("c", FIRST)
        assert "sysfs root" in (await kubelet.prepare(claim))[claim["metadata"]["uid"]].error
        assert await probe(health, "liveness")
        assert not await probe(health, "readiness")
        assert f"readiness: sysfs root {sysfs}: expected a folder" in plugin.log.read_text()
        assert await world.client.slices() == []
        assert not [path for method, path in world.api.requests if (method, path) == ("POST", SLICES)]

        away.rename(sysfs)
        await _until(_devices(world, 8))
        await _until(lambda: probe(health, "readiness"))
        assert (await kubelet.prepare(claim))[claim["metadata"]["uid"]].error == ""
        await plugin.stop()

    tell(story, fleet=FLEET)


def test_a_tree_that_goes_away_takes_no_slice_with_it() -> None:
    """While it cannot be read the slices stay as they are, the plugin stays ready, and one line says what is wrong."""

    async def story(world: World) -> None:
        health = free_port()
        plugin, kubelet = await world.start(LOOKS, f"--healthcheck-port={health}")
        before = await world.published()
        sysfs = world.setting.tree / "sys"
        sysfs.rename(away := sysfs.with_name("away"))

        async def said() -> bool:
            return f"sysfs root {sysfs}: expected a folder" in plugin.log.read_text()

        await _until(said)
        assert (await kubelet.unprepare(STRANGER))["x"].error == ""
        assert await probe(health, "readiness")
        away.rename(sysfs)
        claim = await world.claim("c", FIRST)
        assert (await kubelet.prepare(claim))[claim["metadata"]["uid"]].error == ""
        assert before == await world.published()
        assert plugin.log.read_text().count("sysfs root") == 1
        await plugin.stop()

    tell(story, fleet=FLEET)

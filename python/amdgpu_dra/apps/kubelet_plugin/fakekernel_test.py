"""The plugin, unchanged, on a fake kernel: what it publishes when others switch modes, and when the kernel dies."""

import asyncio
import signal
import tempfile
from collections import Counter
from pathlib import Path

from amdgpu_dra.testing.fakeapi import Client, FakeApi, write_kubeconfig
from amdgpu_dra.testing.fakekernel import Mounted, mounted
from amdgpu_dra.testing.fakekubelet import Plugin, Setting, assemble, start_plugin

NODE, SECOND = "n1", "0000:26:00.0"
FLAGS = ("--allow-fake-device-nodes=false", "--rescan-interval=0.05s", "--feature-gates=DynamicPartitioning=false")


async def _kinds(client: Client) -> Counter[str]:
    """How many devices of each compute mode are published."""
    slices = await client.slices()
    names = [device["name"] for item in slices for device in item["spec"].get("devices", [])]
    return Counter(name.split("-")[5] if name.count("-") > 4 else "whole" for name in names)


async def _until(client: Client, wanted: dict[str, int]) -> None:
    async with asyncio.timeout(30):
        while await _kinds(client) != wanted:
            await asyncio.sleep(0.02)


async def _until_said(plugin: Plugin, text: str) -> None:
    async with asyncio.timeout(30):
        while text not in plugin.log.read_text():
            await asyncio.sleep(0.02)


async def _tell(node: Mounted, work: Path, api: FakeApi) -> None:
    setting = Setting.of(work, assemble(work / "program"), NODE, tree=node.at)
    write_kubeconfig(work / "kubeconfig", api.address)
    async with Client(api.address) as client:
        await client.make_node(NODE)
        plugin = await start_plugin(setting, *FLAGS)
        await _until(client, {"whole": 8})

        await asyncio.to_thread(node.write_mode, SECOND, "CPX")
        await _until(client, {"whole": 7, "cpx": 8})

        node.stop(signal.SIGKILL)
        await _until_said(plugin, "not connected")
        assert await _kinds(client) == {"whole": 7, "cpx": 8}

        await asyncio.to_thread(node.start)
        await _until(client, {"whole": 8})
        await asyncio.to_thread(node.write_mode, SECOND, "DPX")
        await _until(client, {"whole": 7, "dpx": 2})
        assert await plugin.stop() == 0


async def _run(node: Mounted, work: Path) -> None:
    api = FakeApi()
    await api.start()
    try:
        await _tell(node, work, api)
    finally:
        await api.stop()


def test_slices_follow_the_kernel_and_outlive_it() -> None:
    """Modes that others set are published; a dead kernel takes nothing away; once it is mounted again all goes on."""
    with mounted("mi300x-8-spx") as node, tempfile.TemporaryDirectory(prefix="amdgpu-", dir="/tmp") as folder:
        asyncio.run(_run(node, Path(folder)))

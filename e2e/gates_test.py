"""The real API server with and without shared counters, and the real plugin that has to find out which."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from harness import find_pieces

from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.edge.faketree import read_fleet, write_tree
from amdgpu_dra.testing.fakeapi import Client, real_api, write_kubeconfig
from amdgpu_dra.testing.fakekubelet import Setting, assemble, start_plugin

NODE = "n1"
FLAGS = ("--feature-gates=DynamicPartitioning=true", "--repartition=per-gpu")
COUNTERS = "DRAPartitionableDevices"


def _published(*, counters: bool) -> tuple[list[dict[str, Any]], str]:
    """The slices of a node of eight MI300X as such a server keeps them, and the plugin's log."""
    pieces = find_pieces()
    if not pieces.binaries:
        pytest.skip("an API server of its own is made only where there is no Docker")
    binaries = Path(pieces.binaries)

    async def run() -> tuple[list[dict[str, Any]], str]:
        with tempfile.TemporaryDirectory(prefix="amdgpu-", dir="/tmp") as folder:
            work = Path(folder)
            write_tree(render(read_fleet("mi300x-8-spx")), work / "tree", nodes=False)
            setting = Setting.of(work, assemble(work), NODE)
            gates = f"{COUNTERS}={str(counters).lower()}"
            async with asyncio.timeout(150), real_api(binaries, work, gates=gates) as (address, token):
                write_kubeconfig(work / "kubeconfig", address, token)
                async with Client(address, token) as client:
                    await client.make_node(NODE)
                    plugin = await start_plugin(setting, *FLAGS)
                    try:
                        slices = await client.wait_complete()
                    finally:
                        await plugin.stop()
                    return slices, plugin.log.read_text()

    return asyncio.run(run())


def test_counters_are_found_where_the_server_keeps_them() -> None:
    """Fifteen devices a GPU, and counters in slices of their own."""
    slices, _ = _published(counters=True)

    assert sum(len(item["spec"].get("devices", [])) for item in slices) == 8 * 15
    assert sum(len(item["spec"].get("sharedCounters", [])) for item in slices) == 8


def test_a_server_that_drops_counters_gets_what_exists_now() -> None:
    """Eight whole GPUs without counters: never a candidate that could be allocated beside another; the log says why."""
    slices, log = _published(counters=False)

    devices = [device for item in slices for device in item["spec"]["devices"]]
    assert len(devices) == 8
    assert not any("consumesCounters" in device for device in devices)
    assert "NoCounters" in log

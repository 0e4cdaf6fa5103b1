"""Whether the plugin's memory grows with the claims that have come and gone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.edge.faketree import read_fleet, write_tree
from amdgpu_dra.testing.bench.measure import DRIVER, Load, rss_mb
from amdgpu_dra.testing.demo.allocate import devices_of
from amdgpu_dra.testing.fakeapi import Client
from amdgpu_dra.testing.fakekubelet import FakeKubelet, Setting, start_plugin

_CLAIMS, _CALLERS, _READINGS = 8, 4, 20


def _resources(pid: int) -> dict[str, Any]:
    return {
        "rss_mb": round(rss_mb(pid), 2),
        "fds": len(list(Path(f"/proc/{pid}/fd").iterdir())),
        "threads": len(list(Path(f"/proc/{pid}/task").iterdir())),
    }


async def measure_leak(setting: Setting, client: Client, cycles: int) -> dict[str, Any]:
    """Memory, open files and threads over so many prepares, repeats and unprepares, each of a claim with a new UID."""
    tree = setting.work / "leak-tree"
    write_tree(render(read_fleet("mi300x-8-cpx")), tree, nodes=False)
    plugin = await start_plugin(replace(setting, tree=tree))
    kubelet = FakeKubelet(plugin.registry)
    try:
        await kubelet.register(DRIVER)
        names = [device["name"] for device in devices_of(await client.wait_complete())]
        load = Load(client, kubelet, plugin, setting.node)
        readings = [{"cycles": 0} | _resources(plugin.process.pid)]
        rounds = -(-cycles // _CLAIMS)
        for number in range(1, rounds + 1):
            claims = await load.make_claims(f"leak-{number}", names[:_CLAIMS])
            await load.cycle(claims, _CALLERS)
            for claim in claims:
                await client.drop_claim(claim["metadata"]["name"])
            if number % max(1, rounds // _READINGS) == 0:
                readings.append({"cycles": number * _CLAIMS} | _resources(plugin.process.pid))
        await kubelet.close()
        left = [path.name for folder in (plugin.cdi, plugin.records) for path in Path(folder).iterdir()]
    finally:
        await plugin.stop()
    half = readings[len(readings) // 2]
    grown = readings[-1]["rss_mb"] - half["rss_mb"]
    per_thousand = grown * 1e6 / (readings[-1]["cycles"] - half["cycles"]) * 1000
    # Over the second half: the first fills caches and pools.
    return {"readings": readings, "bytes_per_1000_cycles": round(per_thousand), "files_left": left}

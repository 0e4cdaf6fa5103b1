"""Whether a Prepare costs the same however much the node holds: two plugins on one API server, by turns."""

import json
import statistics
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from amdgpu_dra.core.fakegpu import FleetSpec, render
from amdgpu_dra.core.gpu import TreeText, parse
from amdgpu_dra.edge.faketree import read_fleet, write_tree
from amdgpu_dra.testing.bench.measure import DRIVER, PHASES, Load, cpu_ms, measure_start, rss_mb
from amdgpu_dra.testing.demo.allocate import devices_of
from amdgpu_dra.testing.fakeapi import Client
from amdgpu_dra.testing.fakekubelet import FakeKubelet, Plugin, Setting, start_plugin

_HELD, _CLAIMS = 500, 8
ADMIN_LABEL = "resource.kubernetes.io/admin-access"


@dataclass(frozen=True, slots=True, kw_only=True)
class Burden:
    """What one of the two plugins has to bear.

    Attributes:
        fleet: the node's GPUs.
        partitions: how many claims hold a device each.
        admin: how many claims look on, each at one of the devices that are left.
        foreign: how many CDI files of others lie in the folder.
    """

    name: str
    fleet: FleetSpec
    partitions: int = 0
    admin: int = 0
    foreign: int = 0


def burdens() -> list[Burden]:
    """What is measured."""
    whole = read_fleet("mi300x-8-spx")
    return [
        Burden(name="500 claims on 512 partitions", fleet=fleet_of_64(), partitions=_HELD),
        Burden(name="500 adminAccess claims on 8 GPUs", fleet=whole, admin=_HELD),
        Burden(name="500 foreign CDI files", fleet=whole, foreign=_HELD),
    ]


def fleet_of_64() -> FleetSpec:
    """Eight times the eight MI300X in CPX, on buses beside each other: 512 partitions."""
    fleet = read_fleet("mi300x-8-cpx")
    gpus = [
        replace(
            gpu,
            address=replace(gpu.address, bus=gpu.address.bus + copy),
            unique_id=gpu.unique_id + copy,
        )
        for copy in range(8)
        for gpu in fleet.gpus
    ]
    # An older kernel has render nodes for 64 of them.
    return replace(fleet, name="mi300x-64-cpx", gpus=tuple(gpus), kernel="7.x")


def _without_links(tree: TreeText) -> TreeText:
    """Without the links between partitions: 512 have a quarter of a million, and a call for a claim reads none."""
    kept = {path: text for path, text in tree.files.items() if "_links/" not in path or "io_links/0/" in path}
    return replace(tree, files=kept)


@dataclass(slots=True)
class _Side:
    """A plugin and what its calls cost."""

    plugin: Plugin
    kubelet: FakeKubelet
    cpu: float = 0.0
    seconds: Mapping[str, list[float]] = field(default_factory=lambda: {name: [] for name in PHASES})

    def figures(self, cycles: int) -> dict[str, float]:
        found = {f"{name}_p50_ms": round(statistics.median(rows) * 1000, 2) for name, rows in self.seconds.items()}
        return found | {"cpu_ms_per_cycle": round(self.cpu / cycles, 2)}


class Flat:
    """One burden, measured."""

    def __init__(self, work: Path, program: tuple[list[str], Mapping[str, str]], client: Client, node: str) -> None:
        self._work, self._program, self._client, self._node = work, program, client, node
        self._number = 0

    async def measure(self, burden: Burden, *, turns: int) -> dict[str, Any]:
        """Figures of the plugin without and of that with the burden, their ratios, and a start with all of it."""
        tree = self._work / burden.fleet.name
        if not tree.exists():
            write_tree(_without_links(render(burden.fleet)), tree, nodes=False)
        self._number += 1
        settings = [self._setting(f"{self._number}{name}", tree) for name in ("with", "without")]
        for index in range(burden.foreign):
            _write_foreign(settings[0].work / "cdi", index)
        async with AsyncExitStack() as stack:
            devices = sum(len(gpu.partitions) for gpu in parse(render(burden.fleet)).gpus)
            plugin, _ = await measure_start(settings[1], self._client, devices)
            stack.push_async_callback(plugin.stop)
            free = await self._side(plugin, stack)
            # The second finds the slices as it would make them.
            plugin = await start_plugin(settings[0])
            stack.push_async_callback(plugin.stop)
            held = await self._side(plugin, stack)
            names = [device["name"] for device in devices_of(await self._client.wait_complete())]
            load = Load(self._client, held.kubelet, held.plugin, self._node)
            burdening = await self._burdening(load, burden, names)
            await load.hold(burdening)
            claims = await load.make_claims("bench", names[-_CLAIMS:])
            for _ in range(turns):
                for side in (free, held):
                    await self._turn(side, claims)
            cycles = turns * len(claims)
            found: dict[str, Any] = {"without": free.figures(cycles), "with": held.figures(cycles)}
            found["ratio"] = {name: round(value / found["without"][name], 2) for name, value in found["with"].items()}
            found["rss_mb"] = {"without": rss_mb(free.plugin.process.pid), "with": rss_mb(held.plugin.process.pid)}
        # A start with all that it holds.
        plugin, found["start"] = await measure_start(settings[0], self._client, len(names))
        await plugin.stop()
        for claim in (*claims, *burdening):
            await self._client.drop_claim(claim["metadata"]["name"])
        return found

    def _setting(self, name: str, tree: Path) -> Setting:
        work = self._work / name
        work.mkdir(exist_ok=True)
        setting = Setting.of(work, self._program, self._node, tree=tree)
        return replace(setting, kubeconfig=self._work / "kubeconfig")

    async def _side(self, plugin: Plugin, stack: AsyncExitStack) -> _Side:
        kubelet = FakeKubelet(plugin.registry)
        await kubelet.register(DRIVER)
        stack.push_async_callback(kubelet.close)
        return _Side(plugin, kubelet)

    async def _burdening(self, load: Load, burden: Burden, names: list[str]) -> list[dict[str, Any]]:
        if burden.admin:
            await self._client.label_namespace("default", {ADMIN_LABEL: "true"})
            return await load.make_claims("admin", [names[i % len(names)] for i in range(burden.admin)], admin=True)
        return await load.make_claims("held", names[: burden.partitions])

    async def _turn(self, side: _Side, claims: list[dict[str, Any]]) -> None:
        load = Load(self._client, side.kubelet, side.plugin, self._node)
        before = cpu_ms(side.plugin.process.pid)
        for name, (seconds, _) in (await load.cycle(claims, 1)).items():
            side.seconds[name].extend(seconds)
        side.cpu += cpu_ms(side.plugin.process.pid) - before


def _write_foreign(folder: Path, index: int) -> None:
    folder.mkdir(exist_ok=True)
    node = {"path": f"/dev/other{index}", "type": "c", "major": 1, "minor": 3}
    document = {
        "cdiVersion": "0.5.0",
        "kind": "other.example/device",
        "devices": [{"name": f"d{index}", "containerEdits": {"deviceNodes": [node]}}],
    }
    (folder / f"other.example-device_{index}.json").write_text(json.dumps(document))


async def measure_flat(
    work: Path, program: tuple[list[str], Mapping[str, str]], client: Client, *, node: str, turns: int
) -> dict[str, Any]:
    """Every burden by its name."""
    flat = Flat(work, program, client, node)
    found = {}
    for burden in burdens():
        found[burden.name] = await flat.measure(burden, turns=turns)
        # It takes minutes: who waits sees what is known.
        print(f"{burden.name}: {found[burden.name]}", file=sys.stderr, flush=True)
    return found

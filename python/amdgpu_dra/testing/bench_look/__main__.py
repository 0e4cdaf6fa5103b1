"""Measures the processor time of one look at a node, and of a whole plugin at rest, and prints shares of a core."""

import argparse
import asyncio
import json
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from amdgpu_dra.agent.claims import Rescan, Survey, Switcher
from amdgpu_dra.apps.kubelet_plugin.adapters import SysfsModes, SysfsTree, SystemClock
from amdgpu_dra.apps.kubelet_plugin.flags import FLAGS
from amdgpu_dra.core.fakegpu import FleetSpec, render
from amdgpu_dra.edge.faketree import read_fleet, write_tree
from amdgpu_dra.edge.sysfs import ModeFiles, Uevents
from amdgpu_dra.testing.bench.measure import cpu_ms
from amdgpu_dra.testing.fakeapi import Client, FakeApi, write_kubeconfig
from amdgpu_dra.testing.fakekubelet import Setting, assemble, start_plugin
from amdgpu_dra.testing.fakes import FakeEvents, FakeInstances

NODE = "bench-node"
INTERVAL = float(next(flag.default for flag in FLAGS if flag.name == "rescan-interval"))


def fleets() -> dict[str, FleetSpec]:
    """Nodes of 8 GPUs, 8 GPUs in 64 partitions, and 64 GPUs."""
    eight = read_fleet("mi300x-8-spx")
    many = [
        replace(gpu, address=replace(gpu.address, domain=domain), unique_id=gpu.unique_id + domain)
        for domain in range(8)
        for gpu in eight.gpus
    ]
    return {
        "8 GPUs": eight,
        "8 GPUs, 64 partitions": read_fleet("mi300x-8-cpx"),
        "64 GPUs": replace(eight, gpus=tuple(many)),
    }


async def measure_looks(tree: Path, runs: int) -> dict[str, float]:
    """Milliseconds of processor time: of a look that finds nothing, and of one that reads the whole tree."""
    sysfs, clock = SysfsTree(f"{tree}/sys"), SystemClock()
    survey = Survey(sysfs, FakeInstances())
    modes = SysfsModes(ModeFiles(f"{tree}/sys", dev_root=f"{tree}/dev", same_pids=True))
    switcher = Switcher(survey, modes, clock, FakeEvents())
    rescan = Rescan(survey, switcher, sysfs, Uevents(), clock, interval=INTERVAL)
    await rescan.look()

    async def spend(*, heard: bool, times: int) -> float:
        spent = []
        for _ in range(times):
            start = time.process_time()
            await switcher.look()
            await rescan.look(heard=heard)
            spent.append((time.process_time() - start) * 1000)
        return statistics.median(spent)

    return {"look_ms": await spend(heard=False, times=runs), "reading_ms": await spend(heard=True, times=runs // 10)}


async def measure_rest(work: Path, seconds: float) -> float:
    """Milliseconds of processor time that a registered plugin at rest spends in a second, with everything it does."""
    api = FakeApi()
    await api.start()
    try:
        async with Client(api.address) as client:
            write_kubeconfig(work / "kubeconfig", api.address)
            await client.make_node(NODE)
            plugin = await start_plugin(Setting.of(work, assemble(work), NODE))
            try:
                async with asyncio.timeout(60):
                    await client.wait_complete()
                    while "watch resourceslices" not in api.asked:
                        await asyncio.sleep(0.05)
                await asyncio.sleep(INTERVAL)
                before = cpu_ms(plugin.process.pid)
                await asyncio.sleep(seconds)
                return (cpu_ms(plugin.process.pid) - before) / seconds
            finally:
                await plugin.stop()
    finally:
        await api.stop()


async def measure(work: Path, arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """All figures, by node."""
    found: dict[str, dict[str, float]] = {}
    for number, (name, fleet) in enumerate(fleets().items()):
        folder = work / str(number)
        folder.mkdir()
        write_tree(render(fleet), folder / "tree", nodes=False)
        row = await measure_looks(folder / "tree", arguments.runs)
        row["look_share"] = row["look_ms"] / (INTERVAL * 1000)
        if arguments.rest:
            row["rest_share"] = await measure_rest(folder, arguments.rest) / 1000
        found[name] = row
    return found


def show(figures: dict[str, dict[str, Any]]) -> None:
    """A table for a person."""
    table = Table(title=f"looks every {INTERVAL:g} s")
    for column in (
        "node",
        "a look, CPU ms",
        "share of a core",
        "reading the tree, CPU ms",
        "plugin at rest, share of a core",
    ):
        table.add_column(column)
    for name, row in figures.items():
        rest = f"{row['rest_share']:.3%}" if "rest_share" in row else "-"
        table.add_row(name, f"{row['look_ms']:.2f}", f"{row['look_share']:.4%}", f"{row['reading_ms']:.1f}", rest)
    Console(width=130).print(table)


def main() -> int:
    """0."""
    parser = argparse.ArgumentParser(prog="bench_look", description="What it costs to notice changes of GPUs.")
    parser.add_argument("--runs", type=int, default=500, help="looks for each node (median)")
    parser.add_argument("--rest", type=float, default=60, help="seconds for which a plugin is watched at rest; 0: not")
    parser.add_argument("--json", action="store_true", help="one line of JSON and nothing else")
    arguments = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="amdgpu-", dir="/tmp"))
    try:
        figures = asyncio.run(measure(work, arguments))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if arguments.json:
        print(json.dumps(figures))
    else:
        show(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Runs the benchmark and prints its figures beside those of the Go drivers."""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from amdgpu_dra.api.errors import DriverError
from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.core.gpu import parse
from amdgpu_dra.edge.faketree import read_fleet, write_tree
from amdgpu_dra.testing.bench.flat import measure_flat
from amdgpu_dra.testing.bench.leak import measure_leak
from amdgpu_dra.testing.bench.measure import DRIVER, Load, measure_start, median_of, rss_mb
from amdgpu_dra.testing.demo.allocate import devices_of
from amdgpu_dra.testing.fakeapi import Client, FakeApi, find_binaries, real_api, write_kubeconfig
from amdgpu_dra.testing.fakekubelet import FakeKubelet, Setting, assemble

NODE = "bench-node"
_CLAIMS = 8
# Partitions that are held while the same load runs again: the cost of a claim must not grow with them.
_HELD = 48


@asynccontextmanager
async def _api(work: Path) -> AsyncIterator[tuple[str, str, str]]:
    """Kind, address and token of an API server: the real one where its programs are, else the stand-in."""
    binaries = find_binaries()
    if binaries is not None and shutil.which("openssl"):
        async with real_api(binaries, work) as (address, token):
            yield "kube-apiserver", address, token
        return
    stand_in = FakeApi()
    await stand_in.start()
    try:
        yield "stand-in", stand_in.address, ""
    finally:
        await stand_in.stop()


async def measure(work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """All figures, or those that were asked for."""
    if arguments.flat or arguments.leak:
        program = assemble(work)
        async with _api(work) as (kind, address, token), Client(address, token) as client:
            write_kubeconfig(work / "kubeconfig", address, token)
            await client.make_node(NODE)
            found: dict[str, Any] = {"api": kind}
            if arguments.flat:
                found["flat"] = await measure_flat(work, program, client, node=NODE, turns=arguments.rounds)
            if arguments.leak:
                setting = Setting.of(work, program, NODE)
                found["leak"] = await measure_leak(setting, client, arguments.leak)
            return found
    return await _measure_all(work, arguments)


async def _measure_all(work: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    fleet = read_fleet(arguments.fleet)
    tree = render(fleet)
    write_tree(tree, work / "tree", nodes=False)
    devices = sum(len(gpu.partitions) for gpu in parse(tree).gpus)
    setting = Setting.of(work, assemble(work), NODE)
    async with _api(work) as (kind, address, token), Client(address, token) as client:
        write_kubeconfig(work / "kubeconfig", address, token)
        await client.make_node(NODE)
        figures: dict[str, Any] = {"api": kind, "fleet": fleet.name, "devices": devices}
        starts = []
        for _ in range(arguments.starts - 1):
            plugin, row = await measure_start(setting, client, devices, *arguments.flag)
            starts.append(row)
            await plugin.stop()
        plugin, row = await measure_start(setting, client, devices, *arguments.flag)
        figures["start"] = median_of([*starts, row])
        try:
            await asyncio.sleep(arguments.idle)
            figures["idle_rss_mb"] = round(rss_mb(plugin.process.pid), 1)
            kubelet = FakeKubelet(plugin.registry)
            await kubelet.register(DRIVER)
            load = Load(client, kubelet, plugin, NODE)
            figures["load"] = await _loads(load, client, arguments.rounds)
            figures["after_load_rss_mb"] = round(rss_mb(plugin.process.pid), 1)
            await kubelet.close()
        finally:
            await plugin.stop()
    return figures


async def _loads(load: Load, client: Client, rounds: int) -> dict[str, Any]:
    names = [device["name"] for device in devices_of(await client.slices())]
    claims = await load.make_claims("bench", names[:_CLAIMS])
    found = {
        "1 caller": await load.run(claims, rounds, 1),
        "8 callers": await load.run(claims, rounds, 8),
    }
    held = await load.make_claims("held", names[_CLAIMS : _CLAIMS + _HELD])
    if held:
        await load.hold(held)
        found[f"1 caller, {len(held)} claims held"] = await load.run(claims, rounds, 1)
        await load.release(held)
    return found


def show(figures: dict[str, Any]) -> None:
    """A table for a person."""
    others = json.loads((resources.files("amdgpu_dra.testing.bench") / "go_drivers.json").read_text())
    console = Console(width=130)
    table = Table(title=f"{figures['fleet']}, {figures['devices']} devices, API server: {figures['api']}")
    for column in ("figure", "this driver", "Go drivers, see below"):
        table.add_column(column)

    def row(name: str, value: object, key: str = "") -> None:
        known = others.get(key, {})
        table.add_row(name, str(value), ", ".join(f"{who} {what}" for who, what in known.items()))

    row("start to socket, ms", figures["start"]["socket_ms"], "start_socket_ms")
    row("start to slice visible, ms", figures["start"]["slice_ms"], "start_slice_ms")
    row("idle RSS, 10⁶ bytes", figures["idle_rss_mb"], "idle_rss_mb")
    row("RSS after load, 10⁶ bytes", figures["after_load_rss_mb"])
    for name, load in figures["load"].items():
        for call in ("prepare", "repeat", "unprepare"):
            both = f"{load[call]['p50']} / {load[call]['p99']}"
            row(f"{call} p50 / p99, ms, {name}", both, f"{call}_p50_ms, {name}")
        row(f"prepares/s, {name}", load["prepares_per_s"], f"prepares_per_s, {name}")
        row(f"CPU ms per prepare + repeat + unprepare, {name}", load["cpu_ms_per_cycle"], f"cpu_ms_per_cycle, {name}")
    console.print(table)
    console.print(f"Go drivers: {others['source']}", style="dim")


def main() -> int:
    """0, or 2 for a wrong argument."""
    parser = argparse.ArgumentParser(prog="bench", description="Figures of the kubelet plugin on a fake node.")
    parser.add_argument("--fleet", default="mi300x-8-cpx", help="a fleet file or the name of a bundled one")
    parser.add_argument("--starts", type=int, default=5, help="how often it is started (median)")
    parser.add_argument("--idle", type=float, default=60, help="seconds of rest before idle memory is read")
    parser.add_argument("--rounds", type=int, default=64, help="how often each claim is prepared and released")
    parser.add_argument(
        "--flag", action="append", default=[], help="a flag of the plugin, as --flag=--metrics-port=0; may be repeated"
    )
    parser.add_argument("--flat", action="store_true", help="instead: what a Prepare costs beside 500 claims and files")
    parser.add_argument("--leak", type=int, default=0, metavar="CYCLES", help="instead: memory over so many cycles")
    parser.add_argument("--json", action="store_true", help="one line of JSON and nothing else")
    arguments = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="amdgpu-", dir="/tmp"))
    try:
        figures = asyncio.run(measure(work, arguments))
    except DriverError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if arguments.json or arguments.flat or arguments.leak:
        print(json.dumps(figures))
    else:
        show(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())

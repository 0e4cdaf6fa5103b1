"""Runs the demo: a fake node, the real plugin as a process, a stand-in for API server and kubelet, a few claims."""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from amdgpu_dra.api.errors import DriverError, UsageError
from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.edge.faketree import bundled_fleets, read_fleet, write_tree
from amdgpu_dra.testing.demo.allocate import Wish, allocate, devices_of, value_of
from amdgpu_dra.testing.demo.show import show_claim, show_devices
from amdgpu_dra.testing.fakeapi import Client, FakeApi, write_kubeconfig
from amdgpu_dra.testing.fakeapi.client import allocation_of
from amdgpu_dra.testing.fakekubelet import FakeKubelet, Plugin, Setting, assemble, resolve, start_plugin

NODE = "demo-node"
DRIVER = "gpu.amd.com"


class Demo:
    """One run, in a folder of its own."""

    def __init__(self, console: Console, work: Path, fleet: str) -> None:
        self._console, self._work = console, work
        self._fleet = read_fleet(fleet)
        self._api = FakeApi()
        self._taken: set[str] = set()

    async def run(self) -> bool:
        """Whether everything went well and nothing was left behind."""
        print_ = self._console.print
        write_tree(render(self._fleet), self._work / "tree", nodes=False)
        print_(f"Fleet [bold]{self._fleet.name}[/bold]: {len(self._fleet.gpus)} GPUs, rendered to {self._work}/tree")
        command, environment = assemble(self._work)
        await self._api.start()
        write_kubeconfig(self._work / "kubeconfig", self._api.address)
        setting = Setting(
            command=command,
            environment=environment,
            work=self._work,
            tree=self._work / "tree",
            kubeconfig=self._work / "kubeconfig",
            node=NODE,
        )
        async with Client(self._api.address) as client:
            await client.make_node(NODE)
            start = time.perf_counter()
            plugin = await start_plugin(setting)
            kubelet = FakeKubelet(plugin.registry)
            try:
                return await self._with_plugin(client, kubelet, plugin, start)
            except Exception:
                sys.stderr.write(plugin.log.read_text())
                raise
            finally:
                await kubelet.close()
                await plugin.stop()
                await self._api.stop()

    async def _with_plugin(self, client: Client, kubelet: FakeKubelet, plugin: Plugin, start: float) -> bool:
        info = await kubelet.register(DRIVER)
        registered = time.perf_counter() - start
        async with asyncio.timeout(20):
            while not (slices := await client.slices()):
                await asyncio.sleep(0.01)
        published = time.perf_counter() - start
        self._console.print(
            f"Plugin registered after {registered:.2f} s ({', '.join(info.supported_versions)}), "
            f"slices published after {published:.2f} s"
        )
        show_devices(self._console, slices)
        held = [await self._serve(wish, client, kubelet, plugin) for wish in self._wishes(slices)]
        for claim in held:
            if claim is not None:
                start = time.perf_counter()
                await kubelet.unprepare(claim)
                took = (time.perf_counter() - start) * 1000
                await client.drop_claim(claim["metadata"]["name"])
                self._console.print(f"released {claim['metadata']['name']} in {took:.1f} ms")
        left = [*plugin.cdi.glob("*.json"), *plugin.records.glob("*.json")]
        self._console.print("Left behind: " + (", ".join(map(str, left)) if left else "nothing"))
        return not left

    def _wishes(self, slices: list[dict[str, object]]) -> list[Wish]:
        products = [value_of(device, "productName") for device in devices_of(slices)]
        wishes = [Wish(name="one-gpu"), Wish(name="numa-pair", count=2, match="numaNode")]
        known = next((product for product in products if product), None)
        return [*wishes, Wish(name="by-product", select={"productName": known})] if known else wishes

    async def _serve(self, wish: Wish, client: Client, kubelet: FakeKubelet, plugin: Plugin) -> dict[str, Any] | None:
        """From allocation over Prepare to what a container would get; the claim, which is held until the end."""
        times = {}
        start = time.perf_counter()
        devices = allocate(wish, await client.slices(), self._taken)
        times["allocate"] = time.perf_counter() - start
        if devices is None:
            self._console.print(f"[bold]{wish.name}[/bold]: {wish.words}: cannot be placed on what is free")
            return None
        self._taken |= set(devices)
        claim = await client.make_claim(wish.name, wish.spec, allocation_of(NODE, [("gpu", name) for name in devices]))
        start = time.perf_counter()
        (answer,) = (await kubelet.prepare(claim)).values()
        times["prepare"] = time.perf_counter() - start
        if answer.error:
            raise UsageError(f"claim {wish.name}", expected="to be prepared", found=answer.error, action="see above")
        edits = resolve(plugin.cdi, [ident for device in answer.devices for ident in device.cdi_device_ids])
        show_claim(self._console, wish, devices, edits, times)
        return claim


def main() -> int:
    """0 if all went well; 1 if not; 2 for a wrong argument."""
    parser = argparse.ArgumentParser(prog="demo", description="The driver on a fake node: no GPU, no cluster, no root.")
    parser.add_argument(
        "--fleet", default="mi300x-8-spx", help=f"a fleet file, or one of {', '.join(bundled_fleets())}"
    )
    fleet = parser.parse_args().fleet
    # Short, because a socket's path has at most 107 bytes.
    work = Path(tempfile.mkdtemp(prefix="amdgpu-", dir="/tmp"))
    try:
        return 0 if asyncio.run(Demo(Console(width=120), work, fleet).run()) else 1
    except DriverError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())

"""Runs the demo: a fake node, the real plugin as a process, a stand-in for API server and kubelet, a few claims."""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console

from amdgpu_dra.api.errors import DriverError, UsageError
from amdgpu_dra.edge.fakekernel import why_no_kernel
from amdgpu_dra.edge.faketree import bundled_fleets, read_fleet
from amdgpu_dra.testing.demo.allocate import Wish, allocate, devices_of, value_of
from amdgpu_dra.testing.demo.show import show_claim, show_devices
from amdgpu_dra.testing.fakeapi import Client, FakeApi, write_kubeconfig
from amdgpu_dra.testing.fakekubelet import FakeKubelet, Plugin, Setting, assemble, resolve, start_plugin
from amdgpu_dra.testing.fakenode import DYNAMIC_FLAGS, fake_node

NODE = "demo-node"
DRIVER = "gpu.amd.com"


class Demo:
    """One run, in a folder of its own."""

    def __init__(self, console: Console, work: Path, fleet: str, *, dynamic: bool) -> None:
        self._console, self._work, self._dynamic = console, work, dynamic
        self._given, self._fleet = fleet, read_fleet(fleet)
        self._api = FakeApi()
        self._held: list[dict[str, Any]] = []

    async def run(self) -> bool:
        """Whether everything went well and nothing was left behind."""
        command, environment = assemble(self._work)
        delay = 0.3 if self._dynamic else None
        node = fake_node(self._given, self._work / "tree", command, environment, delay=delay)
        async with node:
            how = "on a fake kernel" if self._dynamic else "rendered"
            name = f"[bold]{self._fleet.name}[/bold]"
            self._console.print(f"Fleet {name}: {len(self._fleet.gpus)} GPUs, {how} in {self._work}/tree")
            return await self._on_node(command, environment)

    async def _on_node(self, command: list[str], environment: dict[str, str]) -> bool:
        await self._api.start()
        write_kubeconfig(self._work / "kubeconfig", self._api.address)
        setting = Setting.of(self._work, (command, environment), NODE)
        async with Client(self._api.address) as client:
            await client.make_node(NODE)
            start = time.perf_counter()
            plugin = await start_plugin(setting, *(DYNAMIC_FLAGS if self._dynamic else ()))
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
            slices = await client.wait_complete()
        published = time.perf_counter() - start
        self._console.print(
            f"Plugin registered after {registered:.2f} s ({', '.join(info.supported_versions)}), "
            f"slices published after {published:.2f} s"
        )
        show_devices(self._console, slices)
        for wish, release in self._wishes(slices):
            claim = await self._serve(wish, client, kubelet, plugin)
            if claim is not None and release:
                await self._release(claim, client, kubelet)
        for claim in list(self._held):
            await self._release(claim, client, kubelet)
        left = [*plugin.cdi.glob("*.json"), *plugin.records.glob("*.json")]
        self._console.print("Left behind: " + (", ".join(map(str, left)) if left else "nothing"))
        return not left

    async def _release(self, claim: dict[str, Any], client: Client, kubelet: FakeKubelet) -> None:
        name = claim["metadata"]["name"]
        start = time.perf_counter()
        await kubelet.unprepare(claim)
        took = (time.perf_counter() - start) * 1000
        await client.drop_claim(name)
        self._held.remove(claim)
        self._console.print(f"released {name} in {took:.1f} ms")

    def _wishes(self, slices: list[dict[str, Any]]) -> list[tuple[Wish, bool]]:
        """What is asked for one after another, and whether it is released before the next."""
        if self._dynamic:
            return self._partition_wishes(slices)
        products = [value_of(device, "productName") for device in devices_of(slices)]
        wishes = [Wish(name="one-gpu"), Wish(name="numa-pair", count=2, match="resource.kubernetes.io/numaNode")]
        known = next((product for product in products if product), None)
        if known:
            wishes.append(Wish(name="by-product", select={"productName": str(known)}))
        return [(wish, False) for wish in wishes]

    @staticmethod
    def _partition_wishes(slices: list[dict[str, Any]]) -> list[tuple[Wish, bool]]:
        """A whole GPU, then all partitions of a GPU in each mode: the same GPU is cut anew each time."""
        counts = Counter(str(value_of(device, "partitionProfile")) for device in devices_of(slices))
        gpus = len({value_of(device, "resource.kubernetes.io/pciBusID") for device in devices_of(slices)})
        cut = sorted((profile for profile in counts if not profile.startswith("spx")), reverse=True)
        parent = "resource.kubernetes.io/pciBusID"
        return [
            (Wish(name="whole", device_class="whole.gpu.amd.com"), False),
            *(
                (
                    Wish(
                        name=profile.replace("_", "-"),
                        count=counts[profile] // gpus,
                        select={"partitionProfile": profile},
                        match=parent,
                    ),
                    True,
                )
                for profile in cut
            ),
        ]

    async def _serve(self, wish: Wish, client: Client, kubelet: FakeKubelet, plugin: Plugin) -> dict[str, Any] | None:
        """From allocation over Prepare to what a container would get; the claim, which is held until the end."""
        times = {}
        start = time.perf_counter()
        allocation = allocate(wish, NODE, await client.slices(), self._held)
        times["allocate"] = time.perf_counter() - start
        if allocation is None:
            self._console.print(f"[bold]{wish.name}[/bold]: {wish.words}: cannot be placed on what is free")
            return None
        claim = await client.make_claim(wish.name, wish.spec, dict(allocation))
        self._held.append(claim)
        start = time.perf_counter()
        (answer,) = (await kubelet.prepare(claim)).values()
        times["prepare"] = time.perf_counter() - start
        if answer.error:
            raise UsageError(f"claim {wish.name}", expected="to be prepared", found=answer.error, action="see above")
        edits = resolve(plugin.cdi, [ident for device in answer.devices for ident in device.cdi_device_ids])
        devices = [result["device"] for result in allocation["devices"]["results"]]
        show_claim(self._console, wish, devices, edits, times)
        return claim


def _dynamic(wanted: str) -> bool:
    """Whether partitions are made by need; where that cannot be, says why."""
    reason = why_no_kernel() if wanted != "static" else ""
    if reason:
        print(f"demo: partitions by need want a fake kernel, and {reason}: the partitions of now are shown")
    return wanted != "static" and not reason


def main() -> int:
    """0 if all went well; 1 if not; 2 for a wrong argument."""
    parser = argparse.ArgumentParser(prog="demo", description="The driver on a fake node: no GPU, no cluster, no root.")
    parser.add_argument(
        "--fleet", default="mi300x-8-spx", help=f"a fleet file, or one of {', '.join(bundled_fleets())}"
    )
    parser.add_argument(
        "--partitions",
        choices=["static", "dynamic"],
        default="static",
        help="those that exist, or by need on a fake kernel (needs root)",
    )
    chosen = parser.parse_args()
    # Short, because a socket's path has at most 107 bytes.
    work = Path(tempfile.mkdtemp(prefix="amdgpu-", dir="/tmp"))
    try:
        demo = Demo(Console(width=120), work, chosen.fleet, dynamic=_dynamic(chosen.partitions))
        return 0 if asyncio.run(demo.run()) else 1
    except DriverError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())

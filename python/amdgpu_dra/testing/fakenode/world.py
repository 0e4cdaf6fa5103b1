"""Everything around a plugin that runs as a process."""

import asyncio
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from amdgpu_dra.edge.fakekernel import CONTROL, Control
from amdgpu_dra.testing.fakeapi import Client, FakeApi, write_kubeconfig
from amdgpu_dra.testing.fakeapi.client import CLAIMS, allocation_of
from amdgpu_dra.testing.fakekubelet import FakeKubelet, Plugin, Setting, assemble, start_plugin
from amdgpu_dra.testing.fakenode.node import fake_node

NODE, DRIVER = "n1", "gpu.amd.com"
_SPEC = {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": DRIVER}}]}}


@dataclass
class World:
    """A node, an API server and its client; `kernel` is the control of a fake kernel, where there is one.

    `plugins` are those that were started, in this order.
    """

    setting: Setting
    api: FakeApi
    client: Client
    kernel: Control
    plugins: list[Plugin] = field(default_factory=list)
    _kubelets: list[FakeKubelet] = field(default_factory=list)

    async def launch(self, *flags: str) -> Plugin:
        """A plugin that no kubelet knows yet."""
        plugin = await start_plugin(self.setting, *flags)
        self.plugins.append(plugin)
        return plugin

    async def start(self, *flags: str) -> tuple[Plugin, FakeKubelet]:
        """A plugin that a kubelet has registered."""
        plugin = await self.launch(*flags)
        kubelet = FakeKubelet(plugin.registry)
        self._kubelets.append(kubelet)
        await kubelet.register(DRIVER)
        return plugin, kubelet

    async def kill(self) -> list[asyncio.subprocess.Process]:
        """Kills what still runs. A write that a kernel holds up keeps a process until that kernel lets it go."""
        for kubelet in self._kubelets:
            await kubelet.close()
        for plugin in self.plugins:
            if plugin.process.returncode is None:
                plugin.process.kill()
        return [plugin.process for plugin in self.plugins]

    async def published(self) -> list[dict[str, Any]]:
        """The slices, once there are any, and all of one generation."""
        async with asyncio.timeout(20):
            return await self.client.wait_complete()

    async def devices(self) -> list[dict[str, Any]]:
        """The published devices."""
        return [device for item in await self.published() for device in item["spec"].get("devices", [])]

    async def claim(self, name: str, *devices: str, admin: bool = False) -> dict[str, Any]:
        """A claim of these devices; `admin` for access beside others."""
        allocation = allocation_of(NODE, [("gpu", device) for device in devices])
        if admin:
            allocation["devices"]["results"] = [
                result | {"adminAccess": True} for result in allocation["devices"]["results"]
            ]
        return await self.client.make_claim(name, _SPEC, allocation)

    async def reserve(self, claim: dict[str, Any]) -> None:
        """Notes a pod in a claim, as the scheduler does."""
        path = f"{CLAIMS.format(namespace='default')}/{claim['metadata']['name']}"
        now = await self.client.call("GET", path)
        now["status"]["reservedFor"] = [{"resource": "pods", "name": "p", "uid": "p"}]
        await self.client.call("PUT", f"{path}/status", now)

    @staticmethod
    async def crash(plugin: Plugin, kubelet: FakeKubelet) -> None:
        """Kills a plugin, and takes away the socket that it leaves, so that the next one is not taken for it."""
        await plugin.stop(signal.SIGKILL)
        await kubelet.close()
        (plugin.registry / f"{DRIVER}-reg.sock").unlink()

    async def obey(self, line: str) -> str:
        """The fake kernel's answer to a control line."""
        return await asyncio.to_thread(self.kernel.send, line)


@cache
def _program() -> tuple[list[str], dict[str, str]]:
    """The plugin's command and environment, assembled once for all tests."""
    return assemble(Path(tempfile.mkdtemp(prefix="amdgpu-program-")))


@asynccontextmanager
async def make_world(fleet: str, *, dynamic: bool) -> AsyncIterator[World]:
    """A world for as long as the context lasts; afterwards no process of it runs, and nothing is mounted.

    Args:
        fleet: name or file of what the node has.
        dynamic: on a fake kernel, whose switches take no time until it is told otherwise.
    """
    processes: list[asyncio.subprocess.Process] = []
    with tempfile.TemporaryDirectory(prefix="amdgpu-", dir="/tmp") as folder:
        work = Path(folder)
        command, environment = _program()
        api = FakeApi()
        async with (
            fake_node(fleet, work / "tree", command, environment, delay=0.0 if dynamic else None),
            _serving(api),
            Client(api.address) as client,
        ):
            write_kubeconfig(work / "kubeconfig", api.address)
            await client.make_node(NODE)
            setting = Setting.of(work, (command, environment), NODE)
            control = Control(str(work / "tree" / CONTROL))
            world = World(setting=setting, api=api, client=client, kernel=control)
            try:
                yield world
            finally:
                processes = await world.kill()
        for process in processes:
            await process.wait()
        if str(work) in Path("/proc/self/mounts").read_text(encoding="utf-8"):
            raise RuntimeError(f"{work} is still mounted")


@asynccontextmanager
async def _serving(api: FakeApi) -> AsyncIterator[None]:
    await api.start()
    try:
        yield
    finally:
        await api.stop()


async def until(holds: Callable[[], bool]) -> None:
    """Waits until something is so. Raises TimeoutError after 20 s."""
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.02)


def tell(
    story: Callable[[World], Awaitable[None]], *, fleet: str = "mi300x-8-spx", dynamic: bool = False, seconds: int = 60
) -> None:
    """Lets a story happen in a world of its own."""

    async def run() -> None:
        async with make_world(fleet, dynamic=dynamic) as world, asyncio.timeout(seconds):
            await story(world)

    asyncio.run(run())

"""The kubelet's plugin manager: any number of instances of one driver, as they come and go by their sockets.

As pkg/kubelet/pluginmanager and pkg/kubelet/cm/dra/plugin/dra_plugin_manager.go do it from Kubernetes 1.33 on: a socket
that goes, or is another file, ends a registration and closes its connection; calls go to the one that registered last
of those that are connected, and are not tried again.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio

from amdgpu_dra.testing.fakekubelet.kubelet import FakeKubelet, KubeletError

_TICK = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """An instance: its registration socket, that file's number, and the connection."""

    path: Path
    inode: int
    kubelet: FakeKubelet


class PluginManager:
    """One kubelet's view of the instances of a driver.

    Attributes:
        instances: those that are registered, the last one newest.
        calls: how many calls each endpoint got.
        empty: how often there was no instance any more.
    """

    def __init__(self, registry: Path, driver: str) -> None:
        self._registry, self._driver = registry, driver
        self.instances: list[Registered] = []
        self.calls = Counter[str]()
        self.empty = 0
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Follows the folder until it is cancelled."""
        try:
            while True:
                await self._look()
                await asyncio.sleep(_TICK)
        finally:
            for item in self.instances:
                await item.kubelet.close()

    async def _look(self) -> None:
        found = self._find()
        for item in list(self.instances):
            if found.get(item.path) != item.inode:
                self.instances.remove(item)
                self.empty += not self.instances
                await item.kubelet.close()
                self._changed.set()
        known = {item.path for item in self.instances}
        for path, inode in found.items():
            if path not in known:
                await self._register(path, inode)

    def _find(self) -> dict[Path, int]:
        found = {}
        for path in self._registry.iterdir() if self._registry.is_dir() else ():
            try:
                if not path.name.startswith(".") and path.is_socket():
                    found[path] = path.stat().st_ino
            except FileNotFoundError:
                continue
        return found

    async def _register(self, path: Path, inode: int) -> None:
        kubelet = FakeKubelet(self._registry)
        try:
            taken = frozenset(item.kubelet.endpoint for item in self.instances)
            info = await kubelet.register_at(path, seconds=1, taken=taken)
        except (grpc.aio.AioRpcError, TimeoutError):
            # Nobody listens there: the next look tries again.
            await kubelet.close()
            return
        if info.name == self._driver:
            self.instances.append(Registered(path=path, inode=inode, kubelet=kubelet))
            self._changed.set()

    async def wait_instances(self, *endpoints: str) -> None:
        """Returns when exactly the instances of these endpoints are registered, in this order."""
        while [Path(item.kubelet.endpoint).name for item in self.instances] != list(endpoints):
            self._changed.clear()
            await self._changed.wait()

    async def prepare(self, *claims: dict[str, Any]) -> dict[str, Any]:
        """As `FakeKubelet.prepare`. Raises KubeletError for everything that would fail a pod."""
        return await self._call(lambda kubelet: kubelet.prepare(*claims, wait=False))

    async def unprepare(self, *claims: dict[str, Any]) -> dict[str, Any]:
        """The same for Unprepare."""
        return await self._call(lambda kubelet: kubelet.unprepare(*claims, wait=False))

    async def _call(self, call: Callable[[FakeKubelet], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        kubelet = self._choose()
        self.calls[Path(kubelet.endpoint).name] += 1
        try:
            return await call(kubelet)
        except grpc.aio.AioRpcError as error:
            raise KubeletError(f"{kubelet.endpoint}: {error.code().name}: {error.details()}") from error
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise KubeletError(f"{kubelet.endpoint}: its registration ended during the call") from error

    def _choose(self) -> FakeKubelet:
        newest = [item.kubelet for item in reversed(self.instances)]
        if not newest:
            raise KubeletError(f"DRA driver {self._driver} is not registered")
        return next((kubelet for kubelet in newest if kubelet.connected), newest[0])

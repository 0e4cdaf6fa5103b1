"""Nothing is left of claims that have come and gone: by count, in this process, on real files and sockets."""

import asyncio
import gc
import os
import tempfile
from collections import Counter, deque
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from types import MethodType

from amdgpu_dra.apps.kubelet_plugin.flags import parse_flags
from amdgpu_dra.apps.kubelet_plugin.wiring import Plugin, wire
from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.edge.faketree import read_fleet, write_tree
from amdgpu_dra.testing.fakeapi import Client, FakeApi, write_kubeconfig
from amdgpu_dra.testing.fakeapi.client import allocation_of
from amdgpu_dra.testing.fakekubelet import FakeKubelet

NODE, DRIVER = "n1", "gpu.amd.com"
_SPEC = {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": DRIVER}}]}}


def _plugin(work: Path) -> Plugin:
    flags = [
        f"--node-name={NODE}",
        f"--cdi-root={work}/cdi",
        f"--kubelet-registrar-directory-path={work}/registry",
        f"--kubelet-plugins-directory-path={work}/plugins",
        f"--kubeconfig={work}/kubeconfig",
        f"--sysfs-root={work}/tree/sys",
        f"--dev-root={work}/tree/dev",
        "--allow-fake-device-nodes",
    ]
    return wire(parse_flags(flags, {}, "0"))


def _count_elements(plugin: Plugin) -> int:
    """Of all collections that our objects keep: a UID in a forgotten set is no object of ours, and no file."""
    seen, waiting, found = set[int](), list[object]([plugin]), 0
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, dict | set | frozenset | list | tuple | deque):
            found += len(item)
        elif not (isinstance(item, MethodType | partial) or str(type(item).__module__).startswith("amdgpu_dra")):
            continue
        waiting += gc.get_referents(item)
    return found


async def _count(plugin: Plugin) -> tuple[Counter[str], int, int, int]:
    """Objects of ours by type, elements of their collections, open files, tasks."""
    gc.collect()
    ours = Counter(
        type(item).__qualname__ for item in gc.get_objects() if str(type(item).__module__).startswith("amdgpu_dra")
    )
    # What the fakes keep by design: the stand-in remembers each request and object as plain dicts, which are not ours.
    elements = _count_elements(plugin)
    return ours, elements, len(await asyncio.to_thread(os.listdir, "/proc/self/fd")), len(asyncio.all_tasks())


def test_nothing_is_left_of_claims_that_are_gone() -> None:
    """After 60 claims, each prepared twice and unprepared, there is as much as after 20."""

    async def run() -> None:
        async with AsyncExitStack() as stack:
            work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="amdgpu-", dir="/tmp")))
            write_tree(render(read_fleet("mi300x-8-spx")), work / "tree", nodes=False)
            api = FakeApi()
            await api.start()
            stack.push_async_callback(api.stop)
            client = await stack.enter_async_context(Client(api.address))
            write_kubeconfig(work / "kubeconfig", api.address)
            plugin = _plugin(work)
            plugin.agents.claims.load()
            listing = await plugin.agents.survey.refresh()
            await plugin.kubelet.start_dra()
            stack.push_async_callback(plugin.connection.close)
            stack.push_async_callback(plugin.kubelet.stop, 1.0)
            kubelet = FakeKubelet(work / "registry")
            await kubelet.connect(plugin.kubelet.sockets.dra)
            stack.push_async_callback(kubelet.close)

            async def cycle(number: int) -> None:
                device = listing.devices[number % 8].name
                claim = await client.make_claim(f"c{number}", _SPEC, allocation_of(NODE, [("gpu", device)]))
                for call in (kubelet.prepare, kubelet.prepare, kubelet.unprepare):
                    (answer,) = (await call(claim)).values()
                    assert answer.error == ""
                await client.drop_claim(f"c{number}")

            for number in range(20):
                await cycle(number)
            before = await _count(plugin)
            for number in range(20, 60):
                await cycle(number)
            assert await _count(plugin) == before
            assert list((work / "cdi").iterdir()) == []

    asyncio.run(run())

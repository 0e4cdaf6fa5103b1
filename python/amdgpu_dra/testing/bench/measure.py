"""Measures one plugin process: its start, its memory, and what claims cost."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from amdgpu_dra.testing.demo.allocate import devices_of
from amdgpu_dra.testing.fakeapi import Client
from amdgpu_dra.testing.fakeapi.client import SLICES, allocation_of
from amdgpu_dra.testing.fakekubelet import FakeKubelet, Plugin, Setting, start_plugin

DRIVER = "gpu.amd.com"
PHASES = ("prepare", "repeat", "unprepare")


def rss_mb(pid: int) -> float:
    """Resident memory in 10⁶ bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ProcessLookupError(pid)


def cpu_ms(pid: int) -> float:
    """Processor time of a process so far, user and system, ended threads included, in ms."""
    # The clock of another process by its number (clock_getcpuclockid(3)): /proc counts in steps of 10 ms.
    return time.clock_gettime((~pid << 3) | 2) * 1000


def quantiles(seconds: list[float]) -> dict[str, float]:
    """Median, 90th and 99th percentile in ms."""
    rows = sorted(second * 1000 for second in seconds)
    at = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
    return {name: round(rows[min(len(rows) - 1, int(len(rows) * share))], 2) for name, share in at.items()}


async def measure_start(setting: Setting, client: Client, devices: int, *flags: str) -> tuple[Plugin, dict[str, float]]:
    """Starts a plugin on an API server without slices of it; ms to the socket's first answer and to the slices."""
    for item in await client.slices():
        await client.call("DELETE", f"{SLICES}/{item['metadata']['name']}")
    kubelet = FakeKubelet(setting.work / "registry")
    start = time.perf_counter()
    plugin = await start_plugin(setting, *flags)
    dra = setting.work / "plugins" / DRIVER / "dra.sock"
    async with asyncio.timeout(30):
        while not dra.exists():
            await asyncio.sleep(0.002)
        await kubelet.connect(str(dra))
        await kubelet.prepare()
        answered = time.perf_counter() - start
        while len(list(devices_of(await client.slices()))) != devices:
            await asyncio.sleep(0.002)
    visible = time.perf_counter() - start
    await kubelet.close()
    return plugin, {"socket_ms": round(answered * 1000, 1), "slice_ms": round(visible * 1000, 1)}


class Load:
    """Claims of one device each, prepared and released again and again."""

    def __init__(self, client: Client, kubelet: FakeKubelet, plugin: Plugin, node: str) -> None:
        self._client, self._kubelet, self._plugin, self._node = client, kubelet, plugin, node

    async def make_claims(self, name: str, devices: list[str], *, admin: bool = False) -> list[dict[str, Any]]:
        """A claim for each device; with `admin` they only look on."""
        access = {"adminAccess": True} if admin else {}
        spec = {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": DRIVER} | access}]}}
        few = asyncio.Semaphore(8)

        async def make(index: int, device: str) -> dict[str, Any]:
            allocation = allocation_of(self._node, [("gpu", device)])
            allocation["devices"]["results"][0] |= access
            async with few:
                return await self._client.make_claim(f"{name}-{index}", spec, allocation)

        return await asyncio.gather(*(make(index, device) for index, device in enumerate(devices)))

    async def run(self, claims: list[dict[str, Any]], rounds: int, callers: int) -> dict[str, Any]:
        """Every claim prepared, prepared again and unprepared, `rounds` times, by so many callers at once."""
        pid = self._plugin.process.pid
        before = cpu_ms(pid)
        seconds: dict[str, list[float]] = {name: [] for name in PHASES}
        spent = 0.0
        for _ in range(rounds):
            for name, (rows, wall) in (await self.cycle(claims, callers)).items():
                seconds[name] += rows
                spent += wall if name == "prepare" else 0.0
        cycles = rounds * len(claims)
        found: dict[str, Any] = {name: quantiles(rows) for name, rows in seconds.items()}
        found["prepares_per_s"] = round(cycles / spent, 1)
        found["cpu_ms_per_cycle"] = round((cpu_ms(pid) - before) / cycles, 2)
        return found

    async def cycle(self, claims: list[dict[str, Any]], callers: int) -> dict[str, tuple[list[float], float]]:
        """Every claim prepared, prepared again and unprepared, once: the seconds of each call, and of all together."""
        found = {}
        calls = (self._kubelet.prepare, self._kubelet.prepare, self._kubelet.unprepare)
        for name, call in zip(PHASES, calls, strict=True):
            start = time.perf_counter()
            rows = await _each(claims, call, callers)
            found[name] = (rows, time.perf_counter() - start)
        return found

    async def hold(self, claims: list[dict[str, Any]]) -> None:
        """Prepares claims and keeps them."""
        await _each(claims, self._kubelet.prepare, 8)

    async def release(self, claims: list[dict[str, Any]]) -> None:
        """Unprepares them."""
        await _each(claims, self._kubelet.unprepare, 8)


async def _each(
    claims: list[dict[str, Any]], call: Callable[..., Awaitable[dict[str, Any]]], callers: int
) -> list[float]:
    """Calls for each claim, `callers` at once; the seconds of each. Raises RuntimeError on any error."""
    waiting = list(claims)
    seconds: list[float] = []

    async def caller() -> None:
        while waiting:
            claim = waiting.pop()
            start = time.perf_counter()
            (answer,) = (await call(claim)).values()
            seconds.append(time.perf_counter() - start)
            if answer.error:
                raise RuntimeError(answer.error)

    await asyncio.gather(*(caller() for _ in range(callers)))
    return seconds


def median_of(rows: list[dict[str, float]]) -> dict[str, float]:
    """The median of each figure."""
    return {name: round(statistics.median(row[name] for row in rows), 1) for name in rows[0]}

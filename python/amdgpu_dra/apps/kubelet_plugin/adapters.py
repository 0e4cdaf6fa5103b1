"""The edges' plain functions as the agents' ports want them: without holding up other calls."""

import asyncio
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from amdgpu_dra.core.gpu import Inventory, PciAddress, parse
from amdgpu_dra.core.switch import KfdProcess, Outcome
from amdgpu_dra.edge.sysfs import ModeFiles, find_load, fingerprint, read_generation, read_tree


class SystemClock:
    """The real one."""

    def now(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    async def wait(self, work: "asyncio.Future[Any]", seconds: float) -> bool:
        """Whether `work` is done within so many seconds."""
        await asyncio.wait({work}, timeout=max(0.0, seconds))
        return work.done()

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        await asyncio.sleep(seconds)

    def jitter(self) -> float:
        """A random number from 0 to 1."""
        return random.random()  # noqa: S311 - spreads retries, guards nothing


class SysfsTree:
    """The tree below a sysfs root."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._load: int | None = None

    async def read_inventory(self, *, without_modes: frozenset[PciAddress] = frozenset()) -> Inventory:
        """The inventory now. Raises HostError."""
        return await asyncio.to_thread(self._read, {str(address) for address in without_modes})

    def _read(self, without_modes: set[str]) -> Inventory:
        self._load = find_load(self.root)
        return parse(read_tree(self.root, without_modes=without_modes))

    async def find_generation(self) -> int | None:
        """KFD's count of nodes that came and went; one that never was if amdgpu has been loaded since the last reading.

        A driver that was loaded anew may have come to the same count, with other minors.
        """
        return await asyncio.to_thread(self._generation)

    def _generation(self) -> int | None:
        return read_generation(self.root) if find_load(self.root) == self._load else -1

    async def fingerprint(self, without_modes: frozenset[PciAddress]) -> tuple[str, ...]:
        """Changes when a GPU comes, goes or changes its mode; cheap."""
        return await asyncio.to_thread(fingerprint, self.root, {str(address) for address in without_modes})


class SysfsModes:
    """Mode files and processes below a sysfs root."""

    def __init__(self, files: ModeFiles) -> None:
        self._files = files

    async def write_mode(self, address: PciAddress, mode: str) -> Outcome:
        """Writes a mode. The kernel may take minutes, so the write has a thread that nobody else waits for."""
        return await _in_own_thread(lambda: self._files.write_mode(address, mode))

    async def find_processes(self) -> tuple[KfdProcess, ...]:
        """The processes that KFD lists."""
        return await asyncio.to_thread(self._files.find_processes)

    async def find_openers(self) -> tuple[KfdProcess, ...]:
        """The processes that have `/dev/kfd` open."""
        return await asyncio.to_thread(self._files.find_openers)


async def _in_own_thread[T](call: Callable[[], T]) -> T:
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def succeed(value: T) -> None:
        if not outcome.done():
            outcome.set_result(value)

    def fail(error: BaseException) -> None:
        if not outcome.done():
            outcome.set_exception(error)

    def run() -> None:
        # The loop may have ended in the meantime: a write in the kernel cannot be called back.
        with suppress(RuntimeError):
            try:
                value = call()
            except Exception as error:  # noqa: BLE001 - it belongs to who waits
                loop.call_soon_threadsafe(fail, error)
            else:
                loop.call_soon_threadsafe(succeed, value)

    threading.Thread(target=run, daemon=True, name="mode-write").start()
    return await outcome

"""The edges' plain functions as the agents' ports want them: without holding up other calls."""

import asyncio
import logging
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from amdgpu_dra.core.gpu import Inventory, PciAddress, TreeText, parse
from amdgpu_dra.core.switch import KfdProcess, Outcome
from amdgpu_dra.edge.sysfs import ModeFiles, find_load, fingerprint, read_generation, read_tree

_LOG = logging.getLogger("sysfs")
# A mode is read in microseconds. One that takes twice as long as this is behind the lock of a switch.
_STUCK = 0.4


async def _follow(work: "asyncio.Future[Any]", at: list[str]) -> str:
    """Waits for a look until it is done, or is at the same GPU for too long; that GPU, or an empty text."""
    last = ""
    try:
        while not (await asyncio.wait({work}, timeout=_STUCK))[0]:
            last, before = at[0], last
            if last and last == before:
                return last
    except asyncio.CancelledError:
        work.cancel()
        raise
    return ""


def _read(root: str, skipped: set[str], note: Callable[[str], None]) -> TreeText:
    return read_tree(root, without_modes=skipped, on_mode=note)


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
        self._held_up: set[str] = set()
        # Those of them that the last inventory was read without; the kernel may have let one go meanwhile.
        self._unread: set[str] = set()

    @property
    def held_up(self) -> frozenset[PciAddress]:
        """See the port."""
        return frozenset(address for name in self._unread if (address := PciAddress.find(name)))

    async def read_inventory(self, *, without_modes: frozenset[PciAddress] = frozenset()) -> Inventory:
        """The inventory now. Raises HostError."""
        (inventory, self._load), self._unread = await self._look(self._read_all, without_modes)
        return inventory

    def _read_all(self, skipped: set[str], note: Callable[[str], None]) -> tuple[Inventory, int | None]:
        load = find_load(self.root)
        return parse(_read(self.root, skipped, note)), load

    async def _look[T](
        self, look: Callable[[set[str], Callable[[str], None]], T], without_modes: frozenset[PciAddress]
    ) -> tuple[T, set[str]]:
        """What a look gives, and the GPUs that it was held up at: those are left out of it, and of those that follow.

        The look that is held up ends when the kernel lets it, in a thread of its own for which nobody waits.
        """
        while True:
            at = [""]
            held_up = set(self._held_up)
            skipped = {*map(str, without_modes), *held_up}
            work = asyncio.ensure_future(_in_own_thread(partial(look, skipped, partial(at.__setitem__, 0))))
            last = await _follow(work, at)
            if not last:
                return work.result(), held_up
            _LOG.warning("the kernel does not tell the mode of GPU %s: somebody switches it", last)
            self._held_up.add(last)
            work.add_done_callback(partial(self._let_go, last))

    def _let_go(self, name: str, work: "asyncio.Future[Any]") -> None:
        self._held_up.discard(name)
        if not work.cancelled():
            work.exception()

    async def find_generation(self) -> int | None:
        """KFD's count of nodes that came and went; one that never was if amdgpu has been loaded since the last reading.

        A driver that was loaded anew may have come to the same count, with other minors.
        """
        return await asyncio.to_thread(self._generation)

    def _generation(self) -> int | None:
        return read_generation(self.root) if find_load(self.root) == self._load else -1

    async def fingerprint(self, without_modes: frozenset[PciAddress]) -> tuple[str, ...]:
        """Changes when a GPU comes, goes or changes its mode; cheap."""
        found, _ = await self._look(partial(fingerprint, self.root), without_modes)
        return found


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

"""GPUs whose modes can be written, in memory: tree and switch in one."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import cache

from amdgpu_dra.core.gpu import Gpu, Inventory, PciAddress
from amdgpu_dra.core.switch import KfdProcess, Outcome


class FakeGpus:
    """Inventories by modes, as `show` gives them; a write moves from one to another, if nothing is in its way.

    Attributes:
        modes: the compute mode of each GPU.
        outcomes: for each write the next outcome of its GPU; DONE when there is none left.
        processes, openers: what is found.
        gates: a write of this GPU waits until its gate is open.
        writes: what was written, in the order in which it was begun.
        before: is called before each change, and may raise.
    """

    def __init__(self, show: Callable[[tuple[str, ...]], Inventory], *modes: str) -> None:
        self._show = cache(show)
        self._generation = 100
        gpus = self._show(modes).gpus
        self.modes = {gpu.address: mode for gpu, mode in zip(gpus, modes, strict=True)}
        self.outcomes: dict[PciAddress, list[Outcome]] = {}
        self.processes: tuple[KfdProcess, ...] = ()
        self.openers: tuple[KfdProcess, ...] = ()
        self.gates: dict[PciAddress, asyncio.Event] = {}
        self.writes: list[tuple[PciAddress, str]] = []
        self.missing: set[PciAddress] = set()
        self.before: Callable[[], None] = lambda: None
        self.reads = 0
        self.held_up: frozenset[PciAddress] = frozenset()

    @property
    def inventory(self) -> Inventory:
        """As it is now; a GPU that is `missing` has no node in KFD."""
        shown = self._show(tuple(self.modes.values()))
        gpus = tuple(self._bare(gpu) if gpu.address in self.missing else gpu for gpu in shown.gpus)
        return replace(shown, gpus=gpus, generation=self._generation)

    def _bare(self, gpu: Gpu) -> Gpu:
        return replace(gpu, partitions=())

    def restart(self, mode: str) -> None:
        """As a reboot: every GPU is in this mode, and KFD counts anew."""
        self.modes = dict.fromkeys(self.modes, mode)
        self._generation = 1

    async def read_inventory(self, *, without_modes: frozenset[PciAddress] = frozenset()) -> Inventory:
        """See the port; of GPUs in `without_modes` no mode is known, and no partition is certain."""
        self.reads += 1
        await asyncio.sleep(0)
        now = self.inventory
        gpus = (
            replace(gpu, compute_mode=None, partitions=()) if gpu.address in without_modes else gpu for gpu in now.gpus
        )
        return replace(now, gpus=tuple(gpus))

    async def find_generation(self) -> int | None:
        """See the port."""
        return self._generation

    async def fingerprint(self, without_modes: frozenset[PciAddress]) -> tuple[str, ...]:
        """See the port."""
        modes = (f"{address}={mode}" for address, mode in self.modes.items() if address not in without_modes)
        return (str(self._generation), *modes)

    async def write_mode(self, address: PciAddress, mode: str) -> Outcome:
        """See the port."""
        self.writes.append((address, mode))
        if address in self.gates:
            await self.gates[address].wait()
        await asyncio.sleep(0)
        self.before()
        outcome = self.outcomes[address].pop(0) if self.outcomes.get(address) else Outcome.DONE
        if outcome is Outcome.DONE and self.modes[address] != mode:
            self.modes[address] = mode
            self._generation += 9
        return outcome

    async def find_processes(self) -> tuple[KfdProcess, ...]:
        """See the port."""
        return self.processes

    async def find_openers(self) -> tuple[KfdProcess, ...]:
        """See the port."""
        return self.openers

"""`Survey`: the node's devices as they were last read."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from amdgpu_dra.agent.ports import GpuTree, Instances
from amdgpu_dra.api.errors import HostError
from amdgpu_dra.core.devices import Listing, list_devices
from amdgpu_dra.core.gpu import Gpu, Inventory, PciAddress, find_lost
from amdgpu_dra.core.switch import hold_still


class Survey:
    """Reads the tree and keeps what came of it. Whoever reads it anew, all go by the same result.

    Attributes:
        offer: makes the listing of an inventory; may publish it as well.
        on_look: told that a reading is over, before it is offered; why it failed, or an empty text.
        on_reload: told that amdgpu was loaded anew, before the new inventory is offered.
        moving: GPUs that are being switched, as they were before. They are shown so, and their mode files are not read:
            the kernel holds up a reader until a switch is done.
        doubtful: in the last reading files could not be read and something was missing. That is shown as it was before,
            and believed if the next reading says so as well.
        problem: why the last reading failed, or an empty text.
        instances: the others on this node; what they switch is treated as what this one does.
        unknown: GPUs that others were switching at the last reading, and whose mode before is not known here.
    """

    def __init__(self, tree: GpuTree, instances: Instances) -> None:
        self._tree, self.instances = tree, instances
        self.unknown: frozenset[PciAddress] = frozenset()
        self._reading = asyncio.Lock()
        self.offer: Callable[[Inventory], Listing] = list_devices
        self.on_look: Callable[[str], None] = lambda _: None
        self.on_reload: Callable[[], None] = lambda: None
        self.moving: dict[PciAddress, Gpu] = {}
        # Those that were moving at any moment of the reading that goes on.
        self._moved: dict[PciAddress, Gpu] = {}
        self.doubtful = False
        self.problem = "no inventory has been read yet"
        self._strange, self._noted = set[PciAddress](), set[PciAddress]()
        self._foreign: frozenset[PciAddress] = frozenset()
        self._looks: set[asyncio.Future[None]] = set()
        self.inventory: Inventory | None = None
        self.listing: Listing | None = None

    def take(self, inventory: Inventory) -> Listing:
        """Takes an inventory into use."""
        return self._take(inventory, self.moving)

    def _take(self, inventory: Inventory, moving: Mapping[PciAddress, Gpu]) -> Listing:
        before, after = self.inventory, hold_still(inventory, moving)
        self.inventory = after
        if before is not None and _reloaded(before, inventory):
            self.on_reload()
        self.listing = self.offer(after)
        return self.listing

    async def read(self) -> Inventory:
        """The tree as it is now, for one look. Raises HostError."""
        return await self.look(lambda without: self._tree.read_inventory(without_modes=without))

    async def look[T](self, work: Callable[[frozenset[PciAddress]], Awaitable[T]]) -> T:
        """Lets something read mode files of all but these GPUs; no switch begins until it has."""
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._looks.add(over)
        # In this order: an instance that begins a switch first says so, then waits for those who look.
        self.instances.begin_look()
        try:
            return await work(frozenset(self.moving) | self._note_foreign())
        finally:
            self.instances.end_look()
            self._looks.discard(over)
            over.set_result(None)

    def _note_foreign(self) -> frozenset[PciAddress]:
        """The GPUs that other instances are switching: they are shown as they were, if that is known."""
        foreign = self.instances.find_switching()
        self._noted |= foreign
        for address in foreign - self.moving.keys():
            gpu = self.find_gpu(address)
            if gpu is not None and gpu.compute_mode is not None:
                self._moved[address] = gpu
            else:
                self._strange.add(address)
        return foreign

    async def wait_for_looks(self) -> None:
        """Returns once nobody reads who began before: a switch would hold up such a reader, and all who wait for it."""
        if self._looks:
            await asyncio.wait(set(self._looks))

    async def refresh(self) -> Listing:
        """Reads the tree and takes it into use; one at a time, so that no older reading follows a newer one.

        Raises:
            HostError: there is no tree.
        """
        async with self._reading:
            self._moved, self._strange, self._noted = dict(self.moving), set(), set()
            try:
                inventory = await self.read()
            except HostError as error:
                self.problem = str(error)
                self.on_look(self.problem)
                raise
            self.problem = ""
            self.on_look("")
            self.unknown, self._foreign = frozenset(self._strange), frozenset(self._noted)
            # Of a GPU that was on its way for a part of the reading, some files are from before and some from after.
            # Nor is anything certain of one that somebody else switches.
            held_up = {gpu.address: gpu for address in self._tree.held_up if (gpu := self.find_gpu(address))}
            return self._take(*self._doubt(inventory, {**held_up, **self._moved}))

    def _doubt(
        self, inventory: Inventory, moving: Mapping[PciAddress, Gpu]
    ) -> tuple[Inventory, Mapping[PciAddress, Gpu]]:
        """What is missing for the first time, because a file could not be read, is kept for once."""
        before, again = self.inventory, self.doubtful
        self.doubtful = False
        if before is None or again:
            return inventory, moving
        kfd, lost = find_lost(before, inventory)
        self.doubtful = bool(lost) or kfd != inventory.kfd
        return replace(inventory, kfd=kfd), {**lost, **moving}

    def hold(self, gpu: Gpu) -> None:
        """A switch of the GPU begins: it is shown as it is now."""
        self.moving[gpu.address] = self._moved[gpu.address] = gpu

    def let_go(self, address: PciAddress) -> None:
        """The switch is over: readings that begin from now on show the GPU as it is."""
        self.moving.pop(address, None)

    def relist(self) -> None:
        """Offers the last inventory anew, for another reason than a change of it."""
        if self.inventory is not None:
            self.take(self.inventory)

    async def get_listing(self) -> Listing:
        """The devices as last read, read again if KFD has added or removed any node since.

        A switch that another instance has ended since is read too: the last reading may have KFD's number of after it,
        and shows the GPU as it was before.

        Raises:
            HostError: there is no tree.
        """
        generation = await self._tree.find_generation()
        if self.listing is None or self.inventory is None or generation != self.inventory.generation:
            return await self.refresh()
        if self._foreign and not self._foreign <= self.instances.find_switching():
            return await self.refresh()
        return self.listing

    def find_gpu(self, address: PciAddress) -> Gpu | None:
        """A GPU as last read."""
        gpus = () if self.inventory is None else self.inventory.gpus
        return next((gpu for gpu in gpus if gpu.address == address), None)


def _reloaded(before: Inventory, after: Inventory) -> bool:
    """KFD counts changes from the driver's load on: a smaller number is that of another load."""
    if before.generation is None or after.generation is None:
        return before.driver_loaded and not after.driver_loaded
    return after.generation < before.generation

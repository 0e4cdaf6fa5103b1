"""The kernel's side: a fake kernel as the port of a process that may be killed at any moment. The kernel goes on."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from amdgpu_dra.api.errors import HostError
from amdgpu_dra.core.fakekernel import Kernel, boot, finish, obey, write
from amdgpu_dra.core.gpu import DeviceNode, Inventory, PciAddress, TreeText, parse, paths
from amdgpu_dra.core.switch import KfdProcess, Outcome
from amdgpu_dra.edge.faketree import read_fleet
from amdgpu_dra.testing.model.loop import Killed, StepLoop

_FLEET = read_fleet("mi300x-8-spx")
_OUTCOMES = {
    None: Outcome.DONE,
    "EBUSY": Outcome.BUSY,
    "EINVAL": Outcome.ILLEGAL,
    "EPERM": Outcome.RESETTING,
    "EIO": Outcome.FAILED,
    "EACCES": Outcome.DENIED,
    "ENOENT": Outcome.GONE,
}
_NODES = (paths.KFD, paths.GENERATION)


class Hardware:
    """Two GPUs and their kernel.

    Attributes:
        kernel: as it is now.
        changes: how often anything of it has changed by others than the plugin.
        writes: told of each mode that the plugin sets: GPU and mode.
        clashes: told of a GPU whose mode a process wants to write while another one's write goes on.
        writers: who has begun the switch of a GPU that goes on.
        ends: with which errno the last switch of a GPU ended.
        set_by_us: the modes that the plugin has set, and nobody after it.
        loads: how often the driver's files were made anew.
    """

    def __init__(self, loop: StepLoop, *, per_gpu: bool) -> None:
        self._loop = loop
        fleet = replace(_FLEET, gpus=_FLEET.gpus[:2], kernel="7.x" if per_gpu else "6.12")
        self.kernel: Kernel = boot(fleet)
        self.changes = 0
        self.writes: Callable[[PciAddress, str], None] = lambda _address, _mode: None
        self.clashes: Callable[[PciAddress], None] = lambda _address: None
        self.ends: dict[PciAddress, str | None] = {}
        self.set_by_us: dict[PciAddress, str] = {}
        self.loads = 0
        self.writers: dict[PciAddress, object] = {}
        self._ears: list[Callable[[], None]] = []
        self._waiting: list[tuple[object, Callable[[], None]]] = []
        self._boards = max(gpu.unique_id for gpu in fleet.gpus)

    @property
    def inventory(self) -> Inventory:
        """What is true now."""
        return parsed(self.kernel.tree)

    def hear(self, ear: Callable[[], None]) -> None:
        """From now on `ear` is told when the kernel sends uevents of GPUs."""
        self._ears.append(ear)

    def when_done(self, owner: object, act: Callable[[], None]) -> None:
        """Does it once no switch is under way that `owner` has begun: so long its process cannot end."""
        if owner in self.writers.values():
            self._waiting.append((owner, act))
        else:
            act()

    def obey(self, line: str) -> bool:
        """A control line; whether it was carried out."""
        outcome = obey(self.kernel, line)
        self.kernel = outcome.kernel
        self.changes += 1
        word, _, rest = line.partition(" ")
        if outcome.errno is None and word in ("plug", "load", "reload", "reboot"):
            self.loads += 1
            for address in [address for address in self.set_by_us if word != "plug" or str(address) == rest]:
                del self.set_by_us[address]
        if outcome.errno is None and word in ("plug", "unplug", "load", "unload", "reload"):
            for ear in self._ears:
                ear()
        return outcome.errno is None

    def heal(self) -> None:
        """Every GPU is there and well, and nobody uses it."""
        for pid in list(self.kernel.holders):
            self.obey(f"release {pid}")
        if not self.kernel.loaded:
            self.obey("load")
        for gpu in self.kernel.fleet.gpus:
            self.obey(f"reset {gpu.address} off")
            self.obey(f"fail {gpu.address} off")
            shown = any(found.address == gpu.address and found.partitions for found in self.inventory.gpus)
            if gpu.address in self.kernel.unplugged:
                self.obey(f"plug {gpu.address}")
            elif not shown:
                # A switch that failed has left it without partitions.
                self.obey(f"unplug {gpu.address}")
                self.obey(f"plug {gpu.address}")

    def find_left(self, idle_mode: str) -> dict[str, str | None]:
        """The GPUs that the plugin has left in another mode than this, and their modes."""
        gpus = {gpu.address: gpu.compute for gpu in self.kernel.fleet.gpus}
        return {str(address): gpus[address] for address in self.set_by_us if gpus[address] != idle_mode}

    def exchange(self, address: PciAddress) -> None:
        """Another board is in the slot of a GPU that is not plugged in."""
        if address in self.kernel.unplugged:
            self._boards += 1
            gpu = next(gpu for gpu in self.kernel.fleet.gpus if gpu.address == address)
            self.kernel = replace(self.kernel, fleet=self.kernel.changed(replace(gpu, unique_id=self._boards)))
            self.changes += 1

    def restart(self, word: str, *, major: int, turned: bool) -> bool:
        """A reboot or a reload, after which `/dev/kfd` has this major, and `turned` swaps all minors."""
        fleet = self.kernel.fleet
        gpus = tuple(sorted(fleet.gpus, key=lambda gpu: gpu.address, reverse=turned))
        before = self.kernel
        self.kernel = replace(before, fleet=replace(fleet, kfd_major=major, gpus=gpus))
        if self.obey(word):
            return True
        self.kernel = before
        return False

    def set_mode(self, address: PciAddress, mode: str, *, by: object = None) -> str | None:
        """A write of a mode, which the kernel has begun on return; the name of an errno, or None.

        `by`: the process of the plugin that writes; None for anybody else.

        Raises:
            BlockingIOError: the GPU is being switched: who writes would wait.
        """
        outcome = write(self.kernel, f"{paths.PCI_DEVICES}/{address}/{paths.COMPUTE_MODE}", f"{mode}\n".encode())
        if outcome.waits is not None:
            raise BlockingIOError
        self.kernel = outcome.kernel
        if outcome.begun is not None:
            self.set_by_us.pop(address, None)
            if by is not None:
                self.set_by_us[address], self.writers[address] = mode, by
            self._loop.later(f"end of the switch of {address}", lambda: self._finish(address))
        return outcome.errno

    def _finish(self, address: PciAddress) -> None:
        outcome = finish(self.kernel, address)
        self.kernel, self.ends[address] = outcome.kernel, outcome.errno
        self.writers.pop(address, None)
        waiting, self._waiting = self._waiting, []
        for owner, act in waiting:
            self.when_done(owner, act)


@lru_cache(maxsize=512)
def _parsed(files: frozenset[tuple[str, object]], links: frozenset[tuple[str, str]], tree: "_Key") -> Inventory:  # noqa: ARG001
    return parse(tree.tree)


class _Key:
    """A tree that is equal to every other, since what tells them apart stands beside it."""

    def __init__(self, tree: TreeText) -> None:
        self.tree = tree

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key)

    def __hash__(self) -> int:
        return 0


def parsed(tree: TreeText) -> Inventory:
    """`parse`, once for each tree."""
    return _parsed(frozenset(tree.files.items()), frozenset(tree.links.items()), _Key(tree))


class KernelPort:
    """What one process sees of it. Fulfils `GpuTree`, `Hotplug`, `PartitionSwitch` and `DeviceNodes`.

    Attributes:
        held_up: see the port.
    """

    def __init__(self, loop: StepLoop, hardware: Hardware, owner: object, is_dead: Callable[[], bool]) -> None:
        self._loop, self._hardware, self._owner, self._is_dead = loop, hardware, owner, is_dead
        self._load = hardware.loads
        self.held_up: frozenset[PciAddress] = frozenset()
        self._news = asyncio.Event()
        hardware.hear(self._news.set)

    async def wait(self) -> None:
        """See the port."""
        await self._news.wait()
        self._news.clear()

    async def _pass(self, label: str) -> None:
        if self._is_dead():
            raise Killed
        await self._loop.point(label, self._owner)

    async def _switched(self, address: PciAddress) -> None:
        """Whoever writes a mode file is held up until a switch of its GPU is done."""
        while address in self._hardware.kernel.switching:
            await self._pass("held up by the kernel")

    async def _find_held_up(self, without_modes: frozenset[PciAddress]) -> frozenset[PciAddress]:
        """So is who reads one; but a look waits for no GPU for long, and goes on without it."""
        for _ in range(2):
            found = self._hardware.kernel.switching.keys() - without_modes
            if not found:
                break
            await self._pass("held up by the kernel")
        return frozenset(self._hardware.kernel.switching.keys() - without_modes)

    async def read_inventory(self, *, without_modes: frozenset[PciAddress] = frozenset()) -> Inventory:
        """See the port. A reading takes time: KFD is read before PCI and DRM."""
        self._load = self._hardware.loads
        first = self._hardware.kernel.tree
        await self._pass("tree is read")
        self.held_up = await self._find_held_up(without_modes)
        without_modes |= self.held_up
        second = self._hardware.kernel.tree
        if first is second and not without_modes:
            return parsed(first)
        hidden = {f"{paths.PCI_DEVICES}/{address}/{paths.COMPUTE_MODE}" for address in without_modes}
        hidden = {second.resolve(path) for path in hidden}
        files = {path: text for path, text in first.files.items() if path.startswith(_NODES)}
        files |= {
            path: text for path, text in second.files.items() if not path.startswith(_NODES) and path not in hidden
        }
        return parsed(TreeText(files=files, links=second.links, writable=second.writable & files.keys()))

    async def find_generation(self) -> int | None:
        """See the port."""
        await self._pass("generation is read")
        # As `SysfsTree` has it.
        return self._hardware.inventory.generation if self._load == self._hardware.loads else -1

    async def fingerprint(self, without_modes: frozenset[PciAddress]) -> tuple[str, ...]:
        """As `edge/sysfs` has it."""
        await self._pass("fingerprint")
        without_modes |= await self._find_held_up(without_modes)
        kernel = self._hardware.kernel
        return (
            str(self._hardware.loads),
            str(kernel.history.generation),
            str(kernel.loaded),
            *(
                f"{gpu.address} {gpu.memory} {gpu.compute if gpu.address not in without_modes else ''}"
                for gpu in kernel.present.gpus
                if kernel.loaded
            ),
        )

    async def write_mode(self, address: PciAddress, mode: str) -> Outcome:
        """See the port."""
        await self._pass(f"{mode} is written to {address}")
        other = self._hardware.writers.get(address)
        if other is not None:
            self._hardware.clashes(address)
        await self._switched(address)
        errno = self._hardware.set_mode(address, mode, by=self._owner)
        if errno is None:
            self._hardware.writes(address, mode)
            self._hardware.ends.pop(address, None)
            await self._switched(address)
            errno = self._hardware.ends.get(address)
        return _OUTCOMES[errno]

    async def find_processes(self) -> tuple[KfdProcess, ...]:
        """See the port."""
        await self._pass("processes are read")
        gpus = {gpu.address: gpu for gpu in self._hardware.inventory.gpus}
        found = []
        for pid, addresses in sorted(self._hardware.kernel.holders.items()):
            parts = [part for address in addresses if address in gpus for part in gpus[address].partitions]
            ids = frozenset(part.gpu_id for part in parts if part.gpu_id is not None)
            found.append(KfdProcess(pid=pid, name="rocm", gpu_ids=ids))
        return tuple(found)

    async def find_openers(self) -> tuple[KfdProcess, ...]:
        """See the port."""
        return await self.find_processes()

    def check(self, node: DeviceNode) -> None:
        """See the port: the devtmpfs of this kernel."""
        if self._is_dead():
            raise Killed
        self._loop.park(f"{node.path} is checked")
        if node not in device_nodes(self._hardware.inventory):
            raise HostError(f"device node {node.path}", expected="it", found="nothing", action="make it")


def device_nodes(inventory: Inventory) -> set[DeviceNode]:
    """Every device node of the GPUs that there are."""
    parts = [part for gpu in inventory.gpus for part in gpu.partitions]
    found = {inventory.kfd, *(part.render for part in parts), *(part.card for part in parts)}
    return {node for node in found if node is not None}

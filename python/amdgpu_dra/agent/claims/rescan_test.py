"""Changes of GPUs are found by looking and by the kernel's word; a look that fails takes nothing away."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from amdgpu_dra.agent.claims import Rescan, Survey, Switcher
from amdgpu_dra.agent.claims.rescan import LONGEST_STORM, QUIET
from amdgpu_dra.api.errors import HostError
from amdgpu_dra.core.gpu import Gpu, Inventory, PciAddress, Problem
from amdgpu_dra.testing.fakes import FakeClock, FakeEvents, FakeGpus, FakeInstances, FakeTree

A, B = Gpu(address=PciAddress(0, 5, 0)), Gpu(address=PciAddress(0, 6, 0))
BOTH = Inventory(gpus=(A, B), generation=1)
INTERVAL = 5.0


class Tree(FakeTree):
    """A tree that is away while `down`; counts the small looks."""

    def __init__(self, inventory: Inventory) -> None:
        super().__init__(inventory)
        self.down, self.looks = False, 0

    async def read_inventory(self, *, without_modes: frozenset[PciAddress] = frozenset()) -> Inventory:
        """See the port."""
        found = await super().read_inventory(without_modes=without_modes)
        if self.down:
            raise HostError("sysfs root /sys", expected="a folder", found="none", action="mount it")
        return found

    async def fingerprint(self, without_modes: frozenset[PciAddress]) -> tuple[str, ...]:
        """See the port."""
        self.looks += 1
        return ("away",) if self.down else await super().fingerprint(without_modes)


class Hotplug:
    """The kernel's word, when the test says so."""

    def __init__(self) -> None:
        self._told = asyncio.Event()

    def tell(self) -> None:
        """The kernel tells of GPUs."""
        self._told.set()

    async def wait(self) -> None:
        """See the port."""
        await self._told.wait()
        self._told.clear()


class Scene:
    """A rescan at work."""

    def __init__(self, inventory: Inventory) -> None:
        self.tree, self.clock, self.hotplug = Tree(inventory), FakeClock(), Hotplug()
        self.survey = Survey(self.tree, FakeInstances())
        modes = FakeGpus(lambda _modes: inventory, *("SPX" for _ in inventory.gpus))
        switcher = Switcher(self.survey, modes, self.clock, FakeEvents())
        self.rescan = Rescan(self.survey, switcher, self.tree, self.hotplug, self.clock, interval=INTERVAL)
        self.changes = 0
        self.rescan.on_change = self._count

    def _count(self) -> None:
        self.changes += 1

    @property
    def shown(self) -> tuple[Gpu, ...]:
        """The GPUs as they are known."""
        return self.survey.inventory.gpus if self.survey.inventory else ()

    async def rest(self) -> None:
        """Lets everything happen that needs no time."""
        for _ in range(50):
            await asyncio.sleep(0)

    async def interval(self) -> None:
        """One interval passes."""
        await self.rest()
        self.clock.run_out(INTERVAL)
        await self.rest()


def _play(act: Callable[[Scene], Awaitable[None]], inventory: Inventory = BOTH) -> None:
    async def story() -> None:
        scene = Scene(inventory)
        await scene.rescan.look()
        task = asyncio.create_task(scene.rescan.run())
        try:
            async with asyncio.timeout(10):
                await act(scene)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(story())


def test_without_a_change_the_tree_is_read_once() -> None:
    """Each interval costs one small look; each is told to who wants to know that somebody looks."""

    async def act(scene: Scene) -> None:
        told = list[str]()
        scene.survey.on_look = told.append
        for _ in range(10):
            await scene.interval()
        assert (scene.tree.reads, scene.tree.looks, scene.changes) == (1, 11, 0)
        assert told == [""] * 10

    _play(act)


def test_a_change_is_seen_at_the_next_interval() -> None:
    """A GPU that goes is gone after one interval, without any word of the kernel."""

    async def act(scene: Scene) -> None:
        scene.tree.inventory = Inventory(gpus=(B,), generation=2)
        await scene.interval()
        assert scene.shown == (B,)
        assert scene.changes == 1

    _play(act)


def test_the_kernel_is_heard_at_once_and_a_storm_is_one_look() -> None:
    """Words of the kernel are gathered until they stop; then the tree is read, whatever the small look says."""

    async def act(scene: Scene) -> None:
        await scene.rest()
        for _ in range(4):
            scene.hotplug.tell()
            await scene.rest()
            assert scene.tree.reads == 1
        scene.clock.run_out(QUIET)
        await scene.rest()
        assert (scene.tree.reads, scene.clock.now()) == (2, QUIET)

    _play(act)


def test_a_storm_without_end_is_not_waited_for() -> None:
    """With a word in each moment the tree is read all the same, and not more often than the storm's length."""

    async def act(scene: Scene) -> None:
        await scene.rest()
        scene.hotplug.tell()
        await scene.rest()
        steps = 0
        while scene.tree.reads == 1:
            scene.hotplug.tell()
            await scene.rest()
            # Time passes, and no wait for the next word is over: the next one is there before.
            scene.clock.pass_by(QUIET / 2)
            steps += 1
        assert steps * QUIET / 2 >= LONGEST_STORM

    _play(act)


def test_a_look_that_fails_takes_nothing_away() -> None:
    """While the tree is away the GPUs stay; once it is back it is read, though nothing else has changed."""

    async def act(scene: Scene) -> None:
        scene.tree.down = True
        for _ in range(3):
            await scene.interval()
        assert scene.shown == BOTH.gpus
        assert scene.survey.problem == "sysfs root /sys: expected a folder, found none; mount it"
        scene.tree.down, reads = False, scene.tree.reads
        await scene.interval()
        await scene.interval()
        assert scene.survey.problem == ""
        assert scene.tree.reads - reads == 1

    _play(act)


def test_a_tree_that_comes_late_is_found() -> None:
    """A start without a tree raises nothing, and says why it has nothing; the next look finds it."""

    async def story() -> None:
        scene = Scene(BOTH)
        scene.tree.down = True
        await scene.rescan.look()
        assert (scene.survey.inventory, scene.survey.problem[:15]) == (None, "sysfs root /sys")
        scene.tree.down = False
        await scene.rescan.look()
        assert scene.shown == BOTH.gpus

    asyncio.run(story())


def test_one_failed_reading_of_a_gpu_takes_it_not_away() -> None:
    """A file that cannot be read hides a GPU: it is shown as before for one look, and believed at the second."""
    problem = Problem(path="nodes/3/properties", reason="cannot be read: EIO", costs="it", errno="EIO")

    async def act(scene: Scene) -> None:
        scene.tree.inventory = Inventory(gpus=(B,), generation=2, problems=(problem,))
        await scene.interval()
        assert scene.shown == BOTH.gpus
        scene.tree.inventory = replace(BOTH, generation=2)
        await scene.interval()
        assert scene.shown == BOTH.gpus

        scene.tree.inventory = Inventory(gpus=(B,), generation=3, problems=(problem,))
        await scene.interval()
        assert scene.shown == BOTH.gpus
        await scene.interval()
        assert scene.shown == (B,)

    _play(act)

"""The plugin as a process whose folder lies on a disk that loses power: what it has answered holds."""

import asyncio
import shutil
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from amdgpu_dra.testing.cutfs import CutMount, Stop, cut_mount
from amdgpu_dra.testing.fakekubelet import FakeKubelet, Plugin, start_plugin
from amdgpu_dra.testing.fakenode import DRIVER, World, tell

GPUS = {"first": "gpu-0000-05-00-0", "second": "gpu-0000-26-00-0"}
# How much is kept of what was not synced: nothing, every second piece, the newest half.
PARTS = (
    lambda pieces: [False] * pieces,
    lambda pieces: [index % 2 == 0 for index in range(pieces)],
    lambda pieces: [index >= pieces // 2 for index in range(pieces)],
)


@pytest.fixture(name="mount")
def _mount() -> Iterator[CutMount]:
    with cut_mount() as mount:
        mount.kill_callers()
        yield mount


class Node:
    """A plugin on the disk, and what it has answered.

    Attributes:
        holds: names of the claims whose Prepare was answered; and of which that could be, one way or the other.
        claims: those two, and a rival of each.
    """

    def __init__(self, world: World, mount: CutMount, claims: dict[str, dict[str, Any]]) -> None:
        self.world, self.mount, self.claims = world, mount, claims
        self.holds: set[str] = set()
        self.open: set[str] = set()
        self.kubelet = FakeKubelet(world.setting.work / "registry")

    async def start(self) -> Plugin:
        """A plugin; its sockets and records are on the disk."""
        return await start_plugin(
            self.world.setting, f"--kubelet-plugins-directory-path={self.mount.path}/plugins", "--rescan-interval=60"
        )

    async def ask(self, verb: str, name: str) -> str:
        """The plugin's answer to a call, noted."""
        claim = self.claims[name]
        self.open.add(name)
        answer: Any = (await getattr(self.kubelet, verb)(claim))[claim["metadata"]["uid"]]
        self.open.discard(name)
        if not answer.error:
            (self.holds.add if verb == "prepare" else self.holds.discard)(name)
        return str(answer.error)

    async def live(self) -> None:
        """Two claims come, one goes."""
        await self.kubelet.register(DRIVER)
        for verb, name in (("prepare", "first"), ("prepare", "second"), ("unprepare", "first")):
            assert await self.ask(verb, name) == ""

    async def check(self) -> None:
        """After the cut: who holds a GPU still does, who has let go of one does not, and all can be released."""
        await self.kubelet.register(DRIVER)
        for name in GPUS:
            error = await self.ask("prepare", f"{name}-rival")
            if name not in self.open:
                assert bool(error) == (name in self.holds), f"{name} holds: {name in self.holds}, its rival: {error!r}"
            assert error == "" or f"prepared for claim default/{name} " in error
            for claim in (f"{name}-rival", name):
                assert await self.ask("unprepare", claim) == ""
        assert not [path for path in self.mount.disk.tree() if "/claims/" in path]

    async def close(self, plugin: Plugin) -> None:
        """Ends it, and leaves the rest of the node as before."""
        await self.kubelet.close()
        await plugin.stop(signal.SIGKILL)
        for folder in ("registry", "cdi"):
            shutil.rmtree(self.world.setting.work / folder, ignore_errors=True)


async def _cut_after(node: Node, change: int) -> int:
    """Kills the plugin after so many changes of its disk, cuts the power, starts another; how much was not synced."""
    node.mount.disk.format()
    node.mount.disk.stop = Stop(number=change, after=True)
    plugin = await node.start()
    end, life = asyncio.create_task(plugin.process.wait()), asyncio.create_task(node.live())
    await asyncio.wait({end, life}, return_when=asyncio.FIRST_COMPLETED)
    if not node.mount.disk.halted:
        await life
        raise AssertionError(f"the disk was not changed {change} times")
    await end
    life.cancel()
    await asyncio.gather(life, return_exceptions=True)
    pieces = node.mount.disk.unsynced
    node.mount.disk.cut(PARTS[change % len(PARTS)](pieces))
    # A tmpfs, as nearly everywhere.
    shutil.rmtree(node.world.setting.work / "cdi", ignore_errors=True)
    await node.kubelet.close()
    plugin = await node.start()
    await node.check()
    await node.close(plugin)
    return pieces


def test_what_was_answered_outlives_every_cut(mount: CutMount, capsys: pytest.CaptureFixture[str]) -> None:
    """After each change of the disk in the life of two claims the power is cut, and a third of the unsynced lost."""

    async def story(world: World) -> None:
        claims = {
            name + rival: await world.claim(name + rival, device)
            for name, device in GPUS.items()
            for rival in ("", "-rival")
        }
        node = Node(world, mount, claims)
        plugin = await node.start()
        await node.live()
        changes = len(mount.disk.changes)
        await node.close(plugin)
        lost = [await _cut_after(Node(world, mount, claims), change) for change in range(1, changes + 1)]
        with capsys.disabled():
            print(f"\npower cut after each of {changes} changes, with up to {max(lost)} pieces not synced")
        assert max(lost) > 3

    tell(story, seconds=800)

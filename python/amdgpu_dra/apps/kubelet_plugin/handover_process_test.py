"""A switch that takes long while the plugin is updated: nobody else waits, and the new instance finishes it."""

import asyncio
import signal
from typing import Any

import pytest

from amdgpu_dra.edge.fakekernel import why_no_kernel
from amdgpu_dra.testing.fakekubelet import FakeKubelet
from amdgpu_dra.testing.fakenode import DYNAMIC_FLAGS, World, tell

pytestmark = pytest.mark.skipif(bool(why_no_kernel()), reason=f"a fake kernel: {why_no_kernel()}")

SLOW, OTHER = "0000:05:00.0", "0000:26:00.0"
GPU_SLOW, GPU_OTHER = "gpu-0000-05-00-0", "gpu-0000-26-00-0"
# Longer than any test: such a switch ends when the test says so.
ENDLESS = 3600
OLD, NEW = "11111111-0000-0000-0000-000000000000", "22222222-0000-0000-0000-000000000000"


async def _start(world: World, uid: str) -> FakeKubelet:
    """An instance, and a kubelet that calls it alone."""
    plugin = await world.launch(*DYNAMIC_FLAGS, "--rescan-interval=0.1", f"--pod-uid={uid}")
    socket = plugin.records.parent / f"dra-{uid}.sock"
    while not socket.exists():
        await asyncio.sleep(0.01)
    kubelet = FakeKubelet(plugin.registry)
    await kubelet.connect(str(socket))
    return kubelet


def _log(world: World) -> str:
    return (world.setting.work / "plugin.log").read_text()


async def _published(world: World, count: int) -> None:
    while len(await world.devices()) != count:
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_slow_switch_is_handed_over(end: signal.Signals) -> None:
    """The new instance serves other GPUs at once, publishes when it knows all, and finds the switch when it ends."""

    async def story(world: World) -> None:
        old = await _start(world, OLD)
        await _published(world, 120)
        await world.obey(f"delay {ENDLESS}")
        slow, other = await world.claim("slow", f"{GPU_SLOW}-cpx-3"), await world.claim("other", GPU_OTHER)
        call = asyncio.create_task(old.prepare(slow))
        assert await world.obey(f"await {SLOW}") == "ok"
        new = await _start(world, NEW)
        assert (await new.prepare(other))[other["metadata"]["uid"]].error == ""
        again = asyncio.create_task(new.prepare(slow))
        (first, _) = world.plugins
        first.process.send_signal(end)
        await _published(world, 120)
        assert not again.done()
        await world.obey("delay 0")
        await world.obey("finish")
        assert (await again)[slow["metadata"]["uid"]].error == ""
        await asyncio.gather(call, return_exceptions=True)
        await first.process.wait()
        state: Any = await asyncio.to_thread(world.kernel.state)
        modes = {gpu["address"]: gpu["compute"] for gpu in state["gpus"]}
        assert (modes[SLOW], modes[OTHER]) == ("CPX", "SPX")
        await _published(world, 120)
        for claim in (slow, other):
            assert (await new.unprepare(claim))[claim["metadata"]["uid"]].error == ""
        assert [*first.records.glob("*")] == []
        assert "Traceback" not in _log(world)
        for kubelet in (old, new):
            await kubelet.close()

    tell(story, fleet="mi350x-8-spx", dynamic=True, seconds=250)

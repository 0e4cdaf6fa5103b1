"""Partitions by need: the plugin as a real process on a fake kernel, one test for each way that a switch can go."""

import asyncio
import json
import os
import signal
import stat
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from amdgpu_dra.edge.fakekernel import why_no_kernel
from amdgpu_dra.testing.fakekubelet import FakeKubelet, Plugin, resolve
from amdgpu_dra.testing.fakenode import DRIVER, DYNAMIC_FLAGS, World, tell

pytestmark = pytest.mark.skipif(bool(why_no_kernel()), reason=f"a fake kernel: {why_no_kernel()}")

# GPUs of the bundled fleets, and their whole devices.
A, B, C = "0000:05:00.0", "0000:26:00.0", "0000:46:00.0"
GPU_A, GPU_B, GPU_C = "gpu-0000-05-00-0", "gpu-0000-26-00-0", "gpu-0000-46-00-0"
# Longer than any test: such a switch ends when the test says so.
ENDLESS = 3600
# No process has this number, and KFD lists it all the same.
STRANGER = 4_194_400


@dataclass(frozen=True, slots=True)
class Scene:
    """A plugin at work in its world."""

    world: World
    plugin: Plugin
    kubelet: FakeKubelet

    async def prepare(self, claim: dict[str, Any]) -> str:
        """The error, empty for success."""
        answer = (await self.kubelet.prepare(claim))[claim["metadata"]["uid"]]
        return str(answer.error)

    async def unprepare(self, claim: dict[str, Any]) -> None:
        """Releases a claim, which is possible whatever has happened to it."""
        assert (await self.kubelet.unprepare(claim))[claim["metadata"]["uid"]].error == ""

    async def given(self, claim: dict[str, Any]) -> list[int]:
        """Prepares a claim, and gives the minors of the render nodes that a container would get; each is a device."""
        answer = (await self.kubelet.prepare(claim))[claim["metadata"]["uid"]]
        assert answer.error == ""
        edits = resolve(self.plugin.cdi, [ident for device in answer.devices for ident in device.cdi_device_ids])
        for path, node in edits["nodes"].items():
            found = (self.world.setting.tree / path.removeprefix("/")).stat()
            assert stat.S_ISCHR(found.st_mode), path
            assert (os.major(found.st_rdev), os.minor(found.st_rdev)) == (node["major"], node["minor"]), path
        return sorted(node["minor"] for path, node in edits["nodes"].items() if "renderD" in path)

    def shown(self, gpu: str) -> list[int]:
        """The render minors of a GPU's partitions, in the order of KFD's nodes."""
        location = int(gpu.split(":")[1], 16) << 8
        nodes = self.world.setting.tree / "sys/class/kfd/kfd/topology/nodes"
        texts = [(folder / "properties").read_text() for folder in sorted(nodes.iterdir(), key=lambda f: int(f.name))]
        found = [dict(line.split() for line in text.splitlines()) for text in texts]
        return [int(one["drm_render_minor"]) for one in found if int(one["location_id"]) & ~0xFF == location]

    async def state(self) -> dict[str, Any]:
        """The fake kernel's own state."""
        return await asyncio.to_thread(self.world.kernel.state)

    async def modes(self) -> dict[str, str]:
        """GPU -> the compute mode it is in, by the kernel."""
        return {gpu["address"]: gpu["compute"] for gpu in (await self.state())["gpus"]}

    async def generation(self) -> int:
        """How many of KFD's nodes have come and gone."""
        return int((await self.state())["generation"])

    def log(self) -> str:
        """What the plugin has logged."""
        return self.plugin.log.read_text()

    async def logged(self, text: str) -> None:
        """Returns once the plugin has logged it."""
        while text not in self.log():
            await asyncio.sleep(0.01)

    async def event(self, reason: str) -> dict[str, Any]:
        """The Event of this reason, once it is posted."""
        path = "/apis/events.k8s.io/v1/namespaces/default/events"
        while True:
            for item in (await self.world.client.call("GET", path))["items"]:
                if item["reason"] == reason:
                    return dict(item)
            await asyncio.sleep(0.01)

    async def under_way(self, gpu: str) -> None:
        """Returns once the kernel switches the GPU."""
        assert await self.world.obey(f"await {gpu}") == "ok"

    async def tainted(self) -> set[str]:
        """Published devices that the scheduler passes over as blocked."""
        return {
            device["name"]
            for device in await self.world.devices()
            if any(taint["key"] == "gpu.amd.com/mode-switch-blocked" for taint in device.get("taints", []))
        }


def _play(act: Callable[[Scene], Awaitable[None]], *flags: str, fleet: str = "mi350x-8-spx") -> None:
    """Lets something happen on a node in a dynamic layout, whose plugin then ends as it should."""

    async def story(world: World) -> None:
        plugin, kubelet = await world.start(*DYNAMIC_FLAGS, "--rescan-interval=0.1", *flags)
        scene = Scene(world, plugin, kubelet)
        async with asyncio.timeout(20):
            await scene.logged("published ")
        try:
            await act(scene)
        except BaseException:
            print(scene.log())
            raise
        if plugin.process.returncode is None:
            assert await plugin.stop() == 0

    tell(story, fleet=fleet, dynamic=True)


def test_one_gpu_lives_through_its_modes() -> None:
    """Whole, then eight CPX claims at once by one switch, then two DPX: each has the node that KFD shows for it."""

    async def act(scene: Scene) -> None:
        claim = scene.world.claim
        whole = await claim("whole", GPU_A)
        assert await scene.given(whole) == scene.shown(A)
        await scene.unprepare(whole)

        parts = [await claim(f"cpx-{index}", f"{GPU_A}-cpx-{index}") for index in range(8)]
        given = await asyncio.gather(*(scene.given(part) for part in parts))
        assert given == [[minor] for minor in scene.shown(A)]
        assert len({minor for (minor,) in given}) == 8
        assert scene.log().count(f"switching GPU {A} to CPX") == 1
        for part in parts:
            await scene.unprepare(part)

        halves = [await claim(f"dpx-{index}", f"{GPU_A}-dpx-{index}") for index in range(2)]
        assert [await scene.given(half) for half in halves] == [[minor] for minor in scene.shown(A)]
        assert await scene.modes() == dict.fromkeys(await scene.modes(), "SPX") | {A: "DPX"}

    _play(act)


def test_a_switch_writes_no_slice() -> None:
    """Many switches, and looks at the tree all the while: nothing is ever published anew, or even asked about."""

    async def act(scene: Scene) -> None:
        before, asked = await scene.world.published(), _slice_requests(scene)
        for number, mode in enumerate(("qpx", "dpx", "cpx", "qpx", "cpx")):
            claim = await scene.world.claim(f"c{number}", f"{GPU_A}-{mode}-1")
            assert await scene.given(claim) == scene.shown(A)[1:2]
            await scene.unprepare(claim)
        await scene.logged("GPUs or their modes have changed")
        assert asked == _slice_requests(scene)
        assert before == await scene.world.published()
        assert scene.log().count("published ") == 1

    _play(act, "--rescan-interval=0.05")


def _slice_requests(scene: Scene) -> list[str]:
    return [name for name in scene.world.api.asked if "resourceslices" in name and not name.startswith("watch")]


def test_a_busy_gpu_names_its_holder() -> None:
    """The error tells both modes and the process; once that has ended the retry goes through."""

    async def act(scene: Scene) -> None:
        await scene.world.obey(f"hold {STRANGER} {A}")
        claim = await scene.world.claim("c", f"{GPU_A}-qpx-0")
        error = await scene.prepare(claim)
        assert f"GPU {A} to be switched from SPX to QPX" in error
        assert f"PID {STRANGER}" in error
        await scene.world.obey(f"release {STRANGER}")
        assert await scene.given(claim) == scene.shown(A)[:1]

    _play(act)


def test_a_slow_gpu_delays_nobody_else() -> None:
    """While it is switched other GPUs are prepared and switched; retries and neighbours join its one switch."""

    async def act(scene: Scene) -> None:
        claim = scene.world.claim
        start = await scene.generation()
        await scene.given(await claim("first", f"{GPU_B}-cpx-0"))
        one_switch = await scene.generation() - start

        await scene.world.obey(f"delay {ENDLESS}")
        slow, neighbour = await claim("slow", f"{GPU_A}-cpx-1"), await claim("neighbour", f"{GPU_A}-cpx-2")
        calls = [asyncio.create_task(scene.given(slow))]
        await scene.under_way(A)
        calls[0].cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        calls = [asyncio.create_task(scene.given(one)) for one in (slow, neighbour)]

        await scene.world.obey("delay 0")
        assert await scene.given(await claim("beside", f"{GPU_B}-cpx-1")) == [scene.shown(B)[1]]
        third = await claim("third", f"{GPU_C}-dpx-0")
        assert await scene.given(third) == scene.shown(C)[:1]
        await scene.unprepare(third)
        assert not [call for call in calls if call.done()]
        gpu = next(gpu for gpu in (await scene.state())["gpus"] if gpu["address"] == A)
        assert gpu["switchingTo"] == "CPX"

        before = await scene.generation()
        await scene.world.obey("finish")
        assert await asyncio.gather(*calls) == [[minor] for minor in scene.shown(A)[1:3]]
        # SPX to CPX took A's one node away before `before` was read, and brought eight.
        assert await scene.generation() - before == one_switch - 1
        assert scene.log().count(f"switching GPU {A} to CPX") == 1

    _play(act)


def test_a_gpu_that_somebody_else_switches_delays_nobody_else() -> None:
    """For as long as that takes its mode cannot be read: others are prepared, and nothing is published anew."""

    async def act(scene: Scene) -> None:
        before = await scene.world.published()
        await scene.world.obey(f"delay {ENDLESS}")
        file = scene.world.setting.tree / "sys/bus/pci/devices" / A / "current_compute_partition"
        foreign = asyncio.create_task(asyncio.to_thread(file.write_text, "CPX"))
        await scene.under_way(A)
        await scene.logged(f"the kernel does not tell the mode of GPU {A}")
        one = await scene.world.claim("one", GPU_B)
        assert await scene.given(one) == scene.shown(B)
        await scene.unprepare(one)
        assert before == await scene.world.published()

        await scene.world.obey("finish")
        await foreign
        await scene.world.obey("delay 0")
        assert await scene.given(await scene.world.claim("part", f"{GPU_A}-cpx-2")) == scene.shown(A)[2:3]
        assert before == await scene.world.published()

    _play(act)


def test_a_mode_that_fails_costs_that_mode_alone() -> None:
    """EIO is the error of its claim; the mode is withheld with its reason, an Event says so, other GPUs work."""

    async def act(scene: Scene) -> None:
        await scene.world.obey(f"fail {A} eio")
        broken, well = await scene.world.claim("broken", f"{GPU_A}-dpx-0"), await scene.world.claim("well", GPU_B)
        answers = await scene.kubelet.prepare(broken, well)
        error = answers[broken["metadata"]["uid"]].error
        assert f"GPU {A} to be switched from SPX to DPX" in error
        assert "EIO" in error
        assert answers[well["metadata"]["uid"]].error == ""
        assert (await scene.event("ModeFailed"))["regarding"]["kind"] == "Node"
        assert await scene.given(await scene.world.claim("other", f"{GPU_C}-dpx-1")) == scene.shown(C)[1:]
        # KFD has lost the GPU; somebody brings it back by a mode that works.
        await scene.unprepare(broken)
        await scene.logged('"reason": "NoKfdNode"')
        file = scene.world.setting.tree / "sys/bus/pci/devices" / A / "current_compute_partition"
        await asyncio.to_thread(file.write_text, "SPX")
        await scene.logged('"reason": "ModeFailed"')
        lines = [json.loads(line) for line in scene.log().splitlines()]
        assert [line["msg"] for line in lines if line.get("reason") == "ModeFailed"] == [
            f"withheld: DPX of GPU {A}: the kernel could not complete DPX when it was last set"
        ]
        while GPU_A not in (names := {device["name"] for device in await scene.world.devices()}):
            await asyncio.sleep(0.01)
        assert {f"{GPU_A}-qpx-0", f"{GPU_A}-cpx-0"} <= names
        assert not {f"{GPU_A}-dpx-0", f"{GPU_A}-dpx-1"} & names
        assert f"GPU {A} in mode SPX and not DPX (the kernel could not complete DPX" in await scene.prepare(broken)
        assert scene.log().count(f"switching GPU {A} to DPX") == 1
        assert await scene.given(await scene.world.claim("quarter", f"{GPU_A}-qpx-3")) == scene.shown(A)[3:]

    _play(act, "--logging-format=json")


def test_a_kernel_that_switches_only_an_idle_node_is_found_out() -> None:
    """Candidates of other modes are tainted, keep their names, and claims their devices, until no GPU is in use."""

    async def act(scene: Scene) -> None:
        names = [device["name"] for device in await scene.world.devices()]
        held = await scene.world.claim("held", GPU_C)
        given = await scene.given(held)
        await scene.world.obey(f"hold {STRANGER} {B}")
        wanted = await scene.world.claim("wanted", f"{GPU_A}-cpx-0")
        error = await scene.prepare(wanted)
        assert "does not switch one GPU while another is in use" in error
        assert f"PID {STRANGER}" in error
        assert "GPU" in (await scene.event("SwitchBlocked"))["note"]

        blocked = {name for name in names if "px-" in name}
        while await scene.tainted() != blocked:
            await asyncio.sleep(0.01)
        assert [device["name"] for device in await scene.world.devices()] == names
        assert await scene.given(held) == given
        assert await scene.given(await scene.world.claim("whole", "gpu-0000-65-00-0")) == scene.shown("0000:65:00.0")
        writes = scene.log().count("switching GPU")
        assert f"in use now: PID {STRANGER}" in await scene.prepare(wanted)
        assert scene.log().count("switching GPU") == writes

        await scene.world.obey(f"release {STRANGER}")
        while await scene.tainted():
            await asyncio.sleep(0.01)
        assert await scene.given(await scene.world.claim("after", f"{GPU_B}-cpx-7")) == scene.shown(B)[7:]

    # Its kernel is a 6.12.
    _play(act, fleet="mi300x-8-spx")


def test_killed_in_the_middle_of_a_switch() -> None:
    """After kill -9 and a restart the retries converge, and no partition is given twice."""

    async def act(scene: Scene) -> None:
        await scene.world.obey(f"delay {ENDLESS}")
        claims = [await scene.world.claim(f"c{index}", f"{GPU_A}-cpx-{index}") for index in range(3)]
        calls = [asyncio.create_task(scene.prepare(claim)) for claim in claims[:2]]
        await scene.under_way(A)
        scene.plugin.process.kill()
        # The kernel holds up the write, and with it the end of the process, until the switch is done.
        await scene.world.obey("finish")
        await scene.world.obey("delay 0")
        assert await scene.plugin.process.wait() == -signal.SIGKILL
        await asyncio.gather(*calls, return_exceptions=True)
        await scene.kubelet.close()
        (scene.plugin.registry / f"{DRIVER}-reg.sock").unlink()

        plugin, kubelet = await scene.world.start(*DYNAMIC_FLAGS)
        again = Scene(scene.world, plugin, kubelet)
        generation = await again.generation()
        given = [await again.given(claim) for claim in claims]
        assert given == [[minor] for minor in again.shown(A)[:3]]
        rival = await scene.world.claim("rival", f"{GPU_A}-cpx-0")
        assert "is prepared for claim default/c0" in await again.prepare(rival)
        whole = await scene.world.claim("whole", GPU_A)
        assert "in mode CPX, not SPX" in await again.prepare(whole)
        assert (await again.generation(), (await again.modes())[A]) == (generation, "CPX")
        for claim in claims:
            await again.unprepare(claim)
        assert await again.given(whole) == again.shown(A)
        assert await plugin.stop() == 0

    _play(act)


def test_admin_access_takes_what_there_is() -> None:
    """A monitor of a candidate gets the nodes that exist and switches nothing, beside a claim that works."""

    async def act(scene: Scene) -> None:
        work = await scene.world.claim("work", f"{GPU_A}-dpx-0")
        given = await scene.given(work)
        generation = await scene.generation()
        monitor = await scene.world.claim("monitor", f"{GPU_A}-cpx-5", f"{GPU_B}-qpx-1", admin=True)
        assert await scene.given(monitor) == sorted([*scene.shown(A), *scene.shown(B)])
        assert await scene.given(work) == given
        assert await scene.generation() == generation
        # Nor does it keep anybody from a switch.
        await scene.unprepare(work)
        assert await scene.given(await scene.world.claim("next", f"{GPU_A}-cpx-5")) == [scene.shown(A)[5]]

    _play(act)


def test_a_gpu_returns_to_the_idle_mode() -> None:
    """Not while another claim has a partition of it; after the last one nobody waits for the switch."""

    async def act(scene: Scene) -> None:
        one, two = [await scene.world.claim(f"c{index}", f"{GPU_A}-cpx-{index}") for index in range(2)]
        await scene.given(one)
        await scene.given(two)
        generation = await scene.generation()
        await scene.world.obey(f"delay {ENDLESS}")
        await scene.unprepare(one)
        assert await scene.given(two) == [scene.shown(A)[1]]
        assert await scene.generation() == generation
        await scene.unprepare(two)
        await scene.under_way(A)
        await scene.world.obey("finish")
        while (await scene.modes())[A] != "SPX":
            await asyncio.sleep(0.01)
        await scene.world.obey("delay 0")
        assert await scene.given(await scene.world.claim("whole", GPU_A)) == scene.shown(A)
        assert scene.log().count(f"switching GPU {A}") == 2

    _play(act, "--idle-mode=SPX")


def test_a_gpu_in_reset_is_tried_again() -> None:
    """EPERM is the error of its claim alone, and the retry after the reset goes through."""

    async def act(scene: Scene) -> None:
        await scene.world.obey(f"reset {A} on")
        claim, other = await scene.world.claim("c", f"{GPU_A}-cpx-3"), await scene.world.claim("o", f"{GPU_B}-dpx-0")
        answers = await scene.kubelet.prepare(claim, other)
        error = answers[claim["metadata"]["uid"]].error
        assert f"GPU {A} to be switched from SPX to CPX" in error
        assert "EPERM: the GPU is being reset" in error
        assert "tried again" in error
        assert answers[other["metadata"]["uid"]].error == ""
        await scene.world.obey(f"reset {A} off")
        assert await scene.given(claim) == [scene.shown(A)[3]]

    _play(act)


def test_a_memory_mode_without_a_whole_gpu_says_so() -> None:
    """Under NPS2 every partition is offered and no whole GPU, for which log and Event have the reason."""

    async def act(scene: Scene) -> None:
        names = [device["name"] for device in await scene.world.devices()]
        assert {name.rsplit("-", 2)[1] for name in names} == {"dpx", "qpx", "cpx"}
        assert len(names) == 8 * (2 + 4 + 8)
        lines = [json.loads(line) for line in scene.log().splitlines()]
        assert [line for line in lines if line.get("reason") == "NoWholeGpu" and A in line["msg"]]
        assert A in (await scene.event("NoWholeGpu"))["note"]
        assert await scene.given(await scene.world.claim("half", f"{GPU_A}-dpx-1")) == [scene.shown(A)[1]]

    _play(act, "--logging-format=json", fleet="mi350x-8-cpx-nps2")

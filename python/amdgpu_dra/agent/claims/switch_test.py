"""Claims that need another mode of their GPU: who is switched, who waits, and what is said when it cannot be."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from amdgpu_dra.agent.claims import ClaimManager, ClaimRef, Paths, Survey, Switcher, World
from amdgpu_dra.api.resource import Claim, Device, DeviceResult
from amdgpu_dra.core.claims import find_switch
from amdgpu_dra.core.devices import Layout, Listing, describe, device_name, list_devices
from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.core.gpu import Inventory, PciAddress, parse
from amdgpu_dra.core.switch import KfdProcess, Outcome
from amdgpu_dra.edge.faketree import read_fleet
from amdgpu_dra.testing.fakes import (
    FakeClaims,
    FakeClock,
    FakeEvents,
    FakeGpus,
    FakeInstances,
    FakeNodes,
    MemoryCdi,
    MemoryRecords,
)

FLEET = read_fleet("mi300x-8-spx")
ONE, TWO = (gpu.address for gpu in FLEET.gpus[:2])
FIRST, SECOND = (device_name(address, None, 0) for address in (ONE, TWO))


def _show(modes: tuple[str, ...]) -> Inventory:
    gpus = tuple(replace(gpu, compute=mode) for gpu, mode in zip(FLEET.gpus, modes, strict=False))
    return parse(render(replace(FLEET, gpus=gpus)))


class Node:
    """Two GPUs in a dynamic layout, with fakes all around. `published` holds every list of devices that was offered."""

    def __init__(self, *modes: str, idle_mode: str = "") -> None:
        self.gpus, self.clock, self.events = FakeGpus(_show, *(modes or ("SPX", "SPX"))), FakeClock(), FakeEvents()
        self.claims, self.cdi, self.records = FakeClaims(), MemoryCdi(), MemoryRecords()
        self.published: list[tuple[Device, ...]] = []
        self.survey = Survey(self.gpus, FakeInstances())
        self.switcher = Switcher(self.survey, self.gpus, self.clock, self.events, idle_mode=idle_mode)
        self.survey.offer = self._offer
        self.manager = ClaimManager(
            Paths(node="n", dev_root="/dev", boot_id="b"),
            World(
                api=self.claims,
                nodes=FakeNodes(),
                store=self.records,
                cdi=self.cdi,
                clock=self.clock,
                instances=FakeInstances(),
            ),
            self.survey,
            self.switcher,
        )

    def _offer(self, inventory: Inventory) -> Listing:
        blocked = {gpu.address: "SwitchBlocked" for gpu in inventory.gpus} if self.switcher.blocked else {}
        layout = Layout(dynamic=True, failed=frozenset(self.switcher.failed), blocked=blocked)
        listing = list_devices(inventory, layout)
        self.published.append(tuple(describe(device)[0] for device in listing.devices))
        return listing

    def claim(self, uid: str, *devices: str, admin: bool = False) -> ClaimRef:
        """An allocated claim on the API server."""
        results = tuple(
            DeviceResult(request="r", driver="gpu.amd.com", pool="n", device=name, admin_access=admin)
            for name in devices
        )
        self.claims.add(Claim(namespace="ns", name=uid, uid=uid, results=results))
        return ClaimRef(uid, "ns", uid)

    async def prepare(self, *refs: ClaimRef) -> dict[str, str]:
        """Errors by UID."""
        return {uid: answer.error for uid, answer in (await self.manager.prepare(refs)).items()}

    async def unprepare(self, *refs: ClaimRef) -> dict[str, str]:
        """Errors by UID."""
        return {uid: answer.error for uid, answer in (await self.manager.unprepare(refs)).items()}

    def nodes_of(self, uid: str) -> list[str]:
        """The render nodes in a claim's document."""
        paths = [
            node["path"]
            for device in self.cdi.documents[uid]["devices"]
            for node in device["containerEdits"]["deviceNodes"]
        ]
        return [path for path in paths if "renderD" in path]


def _story(tell: Callable[[Node], Awaitable[None]], *modes: str, idle_mode: str = "") -> None:
    async def run() -> None:
        async with asyncio.timeout(20):
            await tell(Node(*modes, idle_mode=idle_mode))

    asyncio.run(run())


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0)


def _gpu_id(node: Node, position: int) -> frozenset[int]:
    return frozenset(part.gpu_id or 0 for part in node.gpus.inventory.gpus[position].partitions)


def test_one_gpu_lives_through_its_modes() -> None:
    """Whole, eight CPX claims at once by one write, then two DPX; each claim has the render node that KFD names."""

    async def tell(node: Node) -> None:
        whole = node.claim("w", FIRST)
        assert await node.prepare(whole) == {"w": ""}
        assert node.gpus.writes == []
        await node.unprepare(whole)

        parts = [node.claim(f"c{i}", f"{FIRST}-cpx-{i}") for i in range(8)]
        assert set((await node.prepare(*parts)).values()) == {""}
        assert node.gpus.writes == [(ONE, "CPX")]
        assert [node.nodes_of(f"c{i}") for i in range(8)] == [[f"/dev/dri/renderD{128 + i}"] for i in range(8)]
        await node.unprepare(*parts)

        assert await node.prepare(node.claim("d", f"{FIRST}-dpx-0", f"{FIRST}-dpx-1")) == {"d": ""}
        assert node.gpus.writes == [(ONE, "CPX"), (ONE, "DPX")]
        assert node.nodes_of("d") == ["/dev/dri/renderD128", "/dev/dri/renderD129"]

    _story(tell)


def test_a_switch_changes_nothing_that_is_published() -> None:
    """Neither under way nor afterwards do the described devices differ, so no slice is written."""

    async def tell(node: Node) -> None:
        await node.survey.refresh()
        node.gpus.gates[ONE] = asyncio.Event()
        call = asyncio.create_task(node.prepare(node.claim("a", f"{FIRST}-cpx-0")))
        await _until(lambda: bool(node.gpus.writes))
        await node.survey.refresh()
        node.gpus.gates[ONE].set()
        assert await call == {"a": ""}
        await node.survey.refresh()
        assert len(node.published) > 3
        assert len({tuple(sorted(map(repr, devices))) for devices in node.published}) == 1

    _story(tell)


class _Slow(FakeGpus):
    """Its first reading lasts until it may end, and has not seen the first GPU."""

    def __init__(self) -> None:
        super().__init__(_show, "SPX", "SPX")
        self.begun, self.may_end = asyncio.Event(), asyncio.Event()

    async def read_inventory(self, *, without_modes: frozenset[PciAddress] = frozenset()) -> Inventory:
        """See the port."""
        if self.begun.is_set():
            return await super().read_inventory(without_modes=without_modes)
        self.begun.set()
        await self.may_end.wait()
        return replace(self.inventory, gpus=self.inventory.gpus[1:])


def test_a_reading_that_a_switch_goes_through_is_not_believed() -> None:
    """A switch begins and ends while the tree is read: its GPU stays published as it was, whatever was seen of it."""

    async def both() -> None:
        gpus = _Slow()
        survey = Survey(gpus, FakeInstances())
        survey.take(gpus.inventory)
        (gpu, other) = gpus.inventory.gpus
        reading = asyncio.create_task(survey.refresh())
        await gpus.begun.wait()
        survey.hold(gpu)
        survey.let_go(gpu.address)
        gpus.may_end.set()
        await reading
        assert survey.inventory is not None
        assert survey.inventory.gpus == (gpu, other)
        await survey.refresh()
        assert survey.inventory == gpus.inventory

    asyncio.run(both())


def test_a_switch_begins_after_the_readings_that_do_not_know_of_it() -> None:
    """Such a reading would meet the kernel's lock at the mode file, and hold up the work on every other GPU."""

    async def both() -> None:
        gpus = _Slow()
        survey = Survey(gpus, FakeInstances())
        survey.offer = lambda inventory: list_devices(inventory, Layout(dynamic=True))
        listing = survey.take(gpus.inventory)
        switcher = Switcher(survey, gpus, FakeClock(), FakeEvents())
        reading = asyncio.create_task(survey.refresh())
        await gpus.begun.wait()
        switch = find_switch(listing, ONE, "CPX")
        assert switch is not None
        call = asyncio.create_task(switcher.bring(switch, where="here", until=40))
        for _ in range(20):
            await asyncio.sleep(0)
        assert ONE in survey.moving
        assert gpus.writes == []
        gpus.may_end.set()
        await asyncio.gather(reading, call)
        assert gpus.writes == [(ONE, "CPX")]

    asyncio.run(both())


def test_a_slow_gpu_holds_up_nobody_else() -> None:
    """While one GPU is switched, claims of the other are prepared and released, with a switch of their own."""

    async def tell(node: Node) -> None:
        node.gpus.gates[ONE] = asyncio.Event()
        slow = asyncio.create_task(node.prepare(node.claim("slow", f"{FIRST}-cpx-0")))
        await _until(lambda: bool(node.gpus.writes))
        for name in (SECOND, f"{SECOND}-dpx-1", f"{SECOND}-qpx-3"):
            other = node.claim("other", name)
            assert await node.prepare(other) == {"other": ""}
            assert await node.unprepare(other) == {"other": ""}
        assert not slow.done()
        node.gpus.gates[ONE].set()
        assert await slow == {"slow": ""}

    _story(tell)


def test_the_call_ends_before_the_kubelets_deadline_and_the_switch_goes_on() -> None:
    """A clear error after 40 s; the retry finds the same switch, writes nothing, and is served."""

    async def tell(node: Node) -> None:
        node.gpus.gates[ONE] = asyncio.Event()
        ref = node.claim("a", f"{FIRST}-cpx-0")
        call = asyncio.create_task(node.prepare(ref))
        await _until(lambda: bool(node.gpus.writes))
        for _ in range(20):
            await asyncio.sleep(0)
        node.clock.run_out(40)
        error = (await call)["a"]
        assert f"expected GPU {ONE} in mode CPX, found it is being switched since 40 s" in error
        assert "goes on" in error

        retry = asyncio.create_task(node.prepare(ref))
        for _ in range(20):
            await asyncio.sleep(0)
        node.gpus.gates[ONE].set()
        assert await retry == {"a": ""}
        assert node.gpus.writes == [(ONE, "CPX")]

    _story(tell)


def test_a_cancelled_call_is_resumed() -> None:
    """The kubelet hangs up in the middle of a switch: a retry ends well, and so does an Unprepare."""

    async def tell(node: Node) -> None:
        for after in (node.prepare, node.unprepare):
            node.gpus.gates[ONE] = asyncio.Event()
            node.gpus.writes.clear()
            ref = node.claim("a", f"{FIRST}-cpx-0" if after == node.prepare else f"{FIRST}-qpx-0")
            call = asyncio.create_task(node.prepare(ref))
            await _until(lambda: bool(node.gpus.writes))
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            node.gpus.gates[ONE].set()
            assert await after(ref) == {"a": ""}
            assert await node.unprepare(ref) == {"a": ""}
            assert not node.records.kept

    _story(tell)


def test_a_gpu_that_a_claim_has_is_not_switched() -> None:
    """The error tells both modes and the claim; after its release the retry switches."""

    async def tell(node: Node) -> None:
        whole, part = node.claim("w", FIRST), node.claim("p", f"{FIRST}-cpx-0")
        await node.prepare(whole)
        error = (await node.prepare(part))["p"]
        assert "it is prepared for claim ns/w (UID w), which has its GPU in mode SPX, not CPX" in error
        assert node.gpus.writes == []
        await node.unprepare(whole)
        assert await node.prepare(part) == {"p": ""}

    _story(tell)


def test_a_busy_gpu_names_who_holds_it() -> None:
    """EBUSY is tried again a few times; then the process is named with both modes, and the next try goes through."""

    async def tell(node: Node) -> None:
        node.gpus.processes = (KfdProcess(pid=77, name="rocm-smi", gpu_ids=_gpu_id(node, 0)),)
        node.gpus.outcomes[ONE] = [Outcome.BUSY] * 5
        ref = node.claim("p", f"{FIRST}-cpx-0")
        error = (await node.prepare(ref))["p"]
        assert f"expected GPU {ONE} to be switched from SPX to CPX" in error
        assert "EBUSY: it is in use by rocm-smi (PID 77)" in error
        assert (len(node.gpus.writes), node.switcher.blocked) == (5, "")
        node.gpus.processes = ()
        assert await node.prepare(ref) == {"p": ""}

    _story(tell)


def test_a_teardown_that_takes_its_time_is_waited_for() -> None:
    """EBUSY once or twice without a holder, as after the end of a process, is no error."""

    async def tell(node: Node) -> None:
        node.gpus.outcomes[ONE] = [Outcome.BUSY, Outcome.RESETTING]
        assert await node.prepare(node.claim("p", f"{FIRST}-cpx-0")) == {"p": ""}
        assert len(node.gpus.writes) == 3

    _story(tell)


def test_busy_by_another_gpus_user_ends_switching_until_all_are_free() -> None:
    """Disproof: candidates of other modes are tainted, no write is tried, an Event says why; then it is tried again."""

    async def tell(node: Node) -> None:
        whole = node.claim("w", SECOND)
        await node.prepare(whole)
        node.gpus.processes = (KfdProcess(pid=9, name="train", gpu_ids=_gpu_id(node, 1)),)
        node.gpus.outcomes[ONE] = [Outcome.BUSY] * 5
        ref = node.claim("p", f"{FIRST}-cpx-0")
        assert "does not switch one GPU while another is in use" in (await node.prepare(ref))["p"]
        assert [reason for reason, _ in node.events.told] == ["SwitchBlocked"]
        tainted = {device.name for device in node.published[-1] if device.taints}
        assert len(tainted) == 28
        assert not {FIRST, SECOND} & tainted

        writes = len(node.gpus.writes)
        assert "in use now: train (PID 9)" in (await node.prepare(ref))["p"]
        await node.switcher.look()
        assert (len(node.gpus.writes), bool(node.switcher.blocked)) == (writes, True)
        assert await node.prepare(whole) == {"w": ""}

        node.gpus.processes = ()
        await node.switcher.look()
        assert not any(device.taints for device in node.published[-1])
        assert await node.prepare(ref) == {"p": ""}

    _story(tell)


@pytest.mark.parametrize("position", [0, 1], ids=["holder-here", "nobody"])
def test_busy_without_proof_blocks_nothing(position: int) -> None:
    """A holder of the same GPU, or none at all, is no proof against the kernel."""

    async def tell(node: Node) -> None:
        held = KfdProcess(pid=9, gpu_ids=_gpu_id(node, 0) | _gpu_id(node, 1))
        node.gpus.processes = (held,) if position == 0 else ()
        node.gpus.outcomes[ONE] = [Outcome.BUSY] * 5
        assert "EBUSY" in (await node.prepare(node.claim("p", f"{FIRST}-cpx-0")))["p"]
        assert (node.switcher.blocked, node.events.told) == ("", [])

    _story(tell)


def test_a_mode_that_fails_is_withheld_until_the_driver_is_loaded_anew() -> None:
    """EIO: an Event, the mode is offered no more and tried no more, other modes are; a reload forgets it."""

    async def tell(node: Node) -> None:
        node.gpus.outcomes[ONE] = [Outcome.FAILED]
        ref = node.claim("p", f"{FIRST}-cpx-0")
        assert "EIO" in (await node.prepare(ref))["p"]
        assert [reason for reason, _ in node.events.told] == ["ModeFailed"]
        assert f"{FIRST}-cpx-0" not in {device.name for device in node.published[-1]}
        again = (await node.prepare(ref))["p"]
        assert f"found GPU {ONE} in mode SPX and not CPX (the kernel could not complete CPX" in again
        assert len(node.gpus.writes) == 1
        await node.unprepare(ref)
        assert await node.prepare(node.claim("d", f"{FIRST}-dpx-0")) == {"d": ""}

        await node.unprepare(node.claim("d", f"{FIRST}-dpx-0"))
        node.gpus.restart("SPX")
        assert await node.prepare(ref) == {"p": ""}

    _story(tell)


def test_partitions_that_never_appear_fail_the_mode() -> None:
    """The write succeeds and KFD shows nothing: it is looked for, then told with what there is."""

    async def tell(node: Node) -> None:
        await node.survey.refresh()
        node.gpus.missing.add(ONE)
        assert "KFD shows 0 of 8 partitions in mode CPX" in (await node.prepare(node.claim("p", f"{FIRST}-cpx-0")))["p"]
        assert (ONE, "CPX") in node.switcher.failed

    _story(tell)


def test_after_a_reboot_claims_get_their_modes_back() -> None:
    """Modes do not outlive a reboot; prepared claims do, and the GPU is switched once more for both."""

    async def tell(node: Node) -> None:
        refs = [node.claim("a", f"{FIRST}-cpx-0"), node.claim("b", f"{FIRST}-cpx-1")]
        before = await node.manager.prepare(refs)
        node.gpus.restart("SPX")
        assert await node.manager.prepare(refs) == before
        assert node.gpus.writes == [(ONE, "CPX")] * 2

    _story(tell)


def test_a_claim_of_several_gpus_switches_each() -> None:
    """Both at once: neither waits for the other."""

    async def tell(node: Node) -> None:
        node.gpus.gates = {ONE: asyncio.Event(), TWO: asyncio.Event()}
        call = asyncio.create_task(node.prepare(node.claim("p", f"{FIRST}-cpx-0", f"{SECOND}-qpx-1")))
        await _until(lambda: len(node.gpus.writes) == 2)
        for gate in node.gpus.gates.values():
            gate.set()
        assert await call == {"p": ""}
        assert node.gpus.modes == {ONE: "CPX", TWO: "QPX"}

    _story(tell)


def test_admin_access_takes_what_there_is() -> None:
    """It switches nothing and blocks no switch; a repeat after a switch has the nodes that exist then."""

    async def tell(node: Node) -> None:
        monitor = node.claim("m", f"{FIRST}-cpx-5", admin=True)
        assert await node.prepare(monitor) == {"m": ""}
        assert (node.nodes_of("m"), node.gpus.writes) == (["/dev/dri/renderD128"], [])
        assert await node.prepare(node.claim("p", f"{FIRST}-dpx-0")) == {"p": ""}
        assert await node.prepare(monitor) == {"m": ""}
        assert node.nodes_of("m") == ["/dev/dri/renderD128", "/dev/dri/renderD129"]

    _story(tell)


def test_the_last_claim_leaves_the_gpu_as_it_is() -> None:
    """Without an idle mode nothing is written at a release."""

    async def tell(node: Node) -> None:
        ref = node.claim("p", f"{FIRST}-cpx-0")
        await node.prepare(ref)
        await node.unprepare(ref)
        assert node.gpus.writes == [(ONE, "CPX")]

    _story(tell)


def test_the_idle_mode_comes_after_the_last_claim() -> None:
    """Not while another claim is there; in the background, and tried again at the next look if the GPU is busy."""

    async def tell(node: Node) -> None:
        refs = [node.claim("a", f"{FIRST}-cpx-0"), node.claim("b", f"{FIRST}-cpx-1")]
        await node.prepare(*refs)
        await node.unprepare(refs[0])
        assert node.gpus.writes == [(ONE, "CPX")]
        node.gpus.gates[ONE] = asyncio.Event()
        node.gpus.outcomes[ONE] = [Outcome.BUSY] * 5
        assert await node.unprepare(refs[1]) == {"b": ""}
        node.gpus.gates[ONE].set()
        await _until(lambda: len(node.gpus.writes) == 6)
        for _ in range(50):
            await asyncio.sleep(0)
        await node.switcher.look()
        await _until(lambda: node.gpus.modes[ONE] == "SPX")

    _story(tell, idle_mode="SPX")


def test_a_claim_comes_before_rest() -> None:
    """A claim that arrives while its GPU returns to the idle mode waits for that, and has its own mode in the end."""

    async def tell(node: Node) -> None:
        ref = node.claim("a", f"{FIRST}-cpx-0")
        await node.prepare(ref)
        node.gpus.gates[ONE] = asyncio.Event()
        await node.unprepare(ref)
        call = asyncio.create_task(node.prepare(node.claim("b", f"{FIRST}-cpx-3")))
        for _ in range(20):
            await asyncio.sleep(0)
        node.gpus.gates[ONE].set()
        assert await call == {"b": ""}
        assert [mode for _, mode in node.gpus.writes] == ["CPX", "SPX", "CPX"]

    _story(tell, idle_mode="SPX")


def test_a_mode_that_cannot_be_had_tells_both() -> None:
    """A static layout has no candidates: the error says which mode the device is of and which is set."""

    async def tell(node: Node) -> None:
        node.survey.offer = list_devices
        error = (await node.prepare(node.claim("p", f"{FIRST}-cpx-0")))["p"]
        assert f"expected device {FIRST}-cpx-0 on this node, found GPU {ONE} in mode SPX and not CPX" in error
        assert node.gpus.writes == []

    _story(tell)


def test_a_gpu_that_is_gone_is_no_switch() -> None:
    """The file that was to be written has gone with it: a host error, and no mode is marked as failed."""

    async def tell(node: Node) -> None:
        node.gpus.outcomes[ONE] = [Outcome.GONE]
        assert "no such file" in (await node.prepare(node.claim("p", f"{FIRST}-cpx-0")))["p"]
        assert not node.switcher.failed
        assert isinstance(ONE, PciAddress)

    _story(tell)

"""`Switcher`: brings GPUs into other modes, one switch at a time for each GPU, and beside all other work."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial

from amdgpu_dra.agent.claims.survey import Survey
from amdgpu_dra.agent.ports import Clock, Events, PartitionSwitch
from amdgpu_dra.api.errors import DriverError, HostError, NotReadyError
from amdgpu_dra.api.reasons import Reason
from amdgpu_dra.core.claims import find_switch
from amdgpu_dra.core.devices import Listing
from amdgpu_dra.core.gpu import Gpu, PciAddress
from amdgpu_dra.core.switch import Outcome, Switch, disproves, has_arrived, name_holders, processes_on, refusal

_LOG = logging.getLogger("switch")
# A process that has ended is cleared away in the background: EBUSY is tried again after these seconds.
_RETRIES = (0.2, 0.5, 1.0, 2.0)
# KFD's nodes are there when the write returns; where they are late they are looked for after these seconds.
_LOOKS = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0)
# Between looks whether another instance has ended its switch, and how often those who read the tree are waited for.
_PAUSE, _PATIENCE = 0.02, 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Why a switch came to nothing. `spoils`: the mode cannot be had until the driver is loaded anew."""

    found: str
    passes: bool = False
    spoils: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A switch under way: from which mode, since when, and the task that does it."""

    switch: Switch
    before: str | None
    since: float
    task: "asyncio.Task[Refused | None]"


class Switcher:
    """Owns the switches: they go on when the call that wanted them has ended, and the next call finds them.

    Nobody waits for one GPU while holding another, so no order of calls can lock up.

    Attributes:
        failed: GPU and mode that the kernel could not complete, and what it said.
        blocked: why nothing is switched at all now; empty if it is.
        is_free: whether no claim has a GPU, as far as this instance knows.
        confirm_free: the same among all instances.
    """

    def __init__(
        self, survey: Survey, modes: PartitionSwitch, clock: Clock, events: Events, *, idle_mode: str = ""
    ) -> None:
        self._survey, self._modes, self._clock, self._events = survey, modes, clock, events
        self._instances = survey.instances
        self._idle_mode = idle_mode
        self._moves: dict[PciAddress, Move] = {}
        self._resting: set[PciAddress] = set()
        self.failed: dict[tuple[PciAddress, str], str] = {}
        self.blocked = ""
        self.is_free: Callable[[PciAddress], bool] = lambda _: False
        # Told of each switch that is over: its mode, its result (ok, busy or failed) and its seconds.
        self.on_switch: Callable[[str, str, float], None] = lambda _mode, _result, _seconds: None
        self.confirm_free: Callable[[PciAddress], Awaitable[bool]]
        survey.on_reload = self.failed.clear

    async def bring(self, switch: Switch, *, where: str, until: float) -> None:
        """Returns when the GPU is in the mode and KFD shows its partitions.

        A switch of the same GPU to the same mode is joined, one to another mode is waited for.

        Raises:
            NotReadyError: somebody is in the way, or it is not done at `until`; in that case it goes on.
            HostError: the kernel cannot do it.
        """
        while True:
            move = self._moves.get(switch.address)
            if move is None:
                await self._check(switch, where)
                move = self._moves.get(switch.address)
            if move is None:
                if self._is_there(switch):
                    return
                move = self._begin(switch)
            await self._wait(move, where, until)
            if move.switch.mode == switch.mode:
                refused = move.task.result()
                if refused is not None:
                    raise _error(switch, move.before, refused, where)
                return

    def _is_there(self, switch: Switch) -> bool:
        """Whether another call has switched it since."""
        listing = self._survey.listing
        return listing is not None and find_switch(listing, switch.address, switch.mode) is None

    @property
    def moving(self) -> frozenset[PciAddress]:
        """The GPUs that are being switched now, by whichever instance."""
        return self._instances.find_switching() | self._moves.keys()

    async def settle(self, address: PciAddress, mode: str | None, *, where: str, until: float) -> bool:
        """Returns when the GPU is not being switched to another mode than this; whether it was.

        The mode to which another instance switches is not known, so that is waited for.

        Raises:
            NotReadyError: it still is at `until`.
        """
        waited, since = False, self._clock.now()
        while (move := self._moves.get(address)) is not None and move.switch.mode != mode:
            await self._wait(move, where, until)
            waited = True
        while address not in self._moves and address in self._instances.find_switching():
            if self._clock.now() >= until:
                raise _late(where, f"GPU {address} at rest", self._clock.now() - since)
            await self._clock.sleep(_PAUSE)
            waited = True
        return waited

    async def _wait(self, move: Move, where: str, until: float) -> None:
        if await self._clock.wait(move.task, until - self._clock.now()):
            return
        raise _late(where, f"GPU {move.switch.address} in mode {move.switch.mode}", self._clock.now() - move.since)

    async def _check(self, switch: Switch, where: str) -> None:
        """Refuses what would be in vain."""
        failed = self.failed.get((switch.address, switch.mode))
        if failed is not None:
            raise _error(switch, self._mode(switch), Refused(found=failed, spoils=True), where)
        if self.blocked and not await self._unblock():
            holders = name_holders(process for process in await self._modes.find_processes() if process.gpu_ids)
            refused = Refused(found=f"{self.blocked}; in use now: {holders}", passes=True)
            raise _error(switch, self._mode(switch), refused, where)

    def _mode(self, switch: Switch) -> str | None:
        gpu = self._survey.find_gpu(switch.address)
        return gpu.compute_mode if gpu is not None else None

    def _begin(self, switch: Switch, *, to_rest: bool = False) -> Move:
        gpu = self._survey.find_gpu(switch.address)
        if gpu is not None:
            self._survey.hold(gpu)
        task = asyncio.create_task(self._move(switch, gpu, to_rest=to_rest), name=str(switch))
        move = Move(switch=switch, before=self._mode(switch), since=self._clock.now(), task=task)
        self._moves[switch.address] = move
        _LOG.info("switching %s", switch)
        return move

    async def _move(self, switch: Switch, gpu: Gpu | None, *, to_rest: bool) -> Refused | None:
        """Writes, reads back and lists anew; what fails is a result, since the call that wants it may be gone."""
        start = self._clock.now()
        try:
            try:
                refused = await self._turn(switch, gpu, to_rest=to_rest)
            finally:
                self._survey.let_go(switch.address)
            self._tell(switch, refused)
            await self._survey.refresh()
            # Not where it was cancelled: the kernel may be at it still, and the end of the process gives it back.
            self._instances.end_switch(switch.address)
        except DriverError as error:
            self._instances.end_switch(switch.address)
            refused = Refused(found=str(error))
        except Exception as error:  # noqa: BLE001 - a defect is told to whoever waits
            _LOG.exception("switching %s", switch)
            self._instances.end_switch(switch.address)
            refused = Refused(found=f"internal error {error!r}; see the plugin's log")
        finally:
            del self._moves[switch.address]
        result = "ok" if refused is None else "busy" if refused.passes else "failed"
        self.on_switch(switch.mode, result, self._clock.now() - start)
        return refused

    async def _turn(self, switch: Switch, gpu: Gpu | None, *, to_rest: bool) -> Refused | None:
        """The switch, when no other instance is switching this GPU; nothing where it is no longer wanted."""
        waited = False
        while not self._instances.try_switch(switch.address):
            await self._clock.sleep(_PAUSE)
            waited = True
        if to_rest and not await self.confirm_free(switch.address):
            return None
        await self._wait_for_looks()
        if waited:
            self._survey.let_go(switch.address)
            inventory = await self._survey.read()
            if has_arrived(inventory, switch):
                return None
            gpu = next((found for found in inventory.gpus if found.address == switch.address), None)
            if gpu is not None:
                self._survey.hold(gpu)
            await self._wait_for_looks()
        return await self._write(switch, gpu) or await self._verify(switch)

    async def _wait_for_looks(self) -> None:
        """Waits for readers who do not know of the switch; for those of another instance not for long."""
        await self._survey.wait_for_looks()
        for _ in range(_PATIENCE):
            if not self._instances.others_look:
                return
            await self._clock.sleep(_PAUSE)

    async def _write(self, switch: Switch, gpu: Gpu | None) -> Refused | None:
        if gpu is None:
            return Refused(found="the GPU has gone")
        proof = True
        for pause in (*_RETRIES, None):
            outcome = await self._modes.write_mode(switch.address, switch.mode)
            if outcome is Outcome.DONE:
                return None
            processes = await self._modes.find_processes()
            proof = proof and outcome is Outcome.BUSY and disproves(gpu, processes)
            if pause is None or not outcome.passes:
                break
            await self._clock.sleep(pause)
        holders = processes_on(gpu, processes)
        openers = () if holders or outcome is not Outcome.BUSY else await self._modes.find_openers()
        found = refusal(outcome, holders, openers)
        if proof:
            elsewhere = name_holders(process for process in processes if process.gpu_ids)
            found = self._block(f"EBUSY for GPU {gpu.address}, which nobody uses, while another is used by {elsewhere}")
        return Refused(found=found, passes=outcome.passes, spoils=outcome.spoils)

    async def _verify(self, switch: Switch) -> Refused | None:
        """Reads back what KFD shows, until it is what was asked for."""
        self._survey.let_go(switch.address)
        inventory = None
        for pause in _LOOKS:
            if pause:
                await self._clock.sleep(pause)
            inventory = await self._survey.read()
            if has_arrived(inventory, switch):
                return None
        shown = [gpu for gpu in inventory.gpus if gpu.address == switch.address] if inventory is not None else []
        mode, count = (shown[0].compute_mode, len(shown[0].partitions)) if shown else (None, 0)
        found = f"the write succeeded, and KFD shows {count} of {len(switch.indices)} partitions in mode {mode}"
        return Refused(found=found, spoils=True)

    def _tell(self, switch: Switch, refused: Refused | None) -> None:
        if refused is None:
            _LOG.info("switched %s", switch)
            self.failed.pop((switch.address, switch.mode), None)
            return
        _LOG.warning("not switched: %s: %s", switch, refused.found)
        if refused.spoils:
            self.failed[switch.address, switch.mode] = refused.found
            self._events.emit(Reason.MODE_FAILED, f"{switch}: {refused.found}")

    def _block(self, found: str) -> str:
        self.blocked = f"this kernel does not switch one GPU while another is in use ({found})"
        _LOG.warning("%s; nothing is switched until no GPU is in use", self.blocked)
        self._events.emit(Reason.SWITCH_BLOCKED, self.blocked)
        return self.blocked

    async def _unblock(self) -> bool:
        """Whether switches are tried again: no process has memory on any GPU."""
        if any(process.gpu_ids for process in await self._modes.find_processes()):
            return False
        if self.blocked:
            self.blocked = ""
            _LOG.info("no GPU is in use; modes are switched again")
            self._survey.relist()
        return True

    async def look(self) -> None:
        """From time to time: lifts a block, and brings GPUs to rest that could not be before."""
        if self.blocked:
            await self._unblock()
        self.rest(())

    def rest(self, addresses: Iterable[PciAddress]) -> None:
        """Lets GPUs that nobody has return to the idle mode, in the background."""
        if not self._idle_mode:
            return
        self._resting.update(addresses)
        for address in sorted(self._resting - self._moves.keys()):
            listing = self._survey.listing
            if listing is None or not _offers(listing, address, self._idle_mode):
                # Not yet: whether the cluster keeps counters is known some time after the start.
                continue
            switch = find_switch(listing, address, self._idle_mode)
            if switch is None or not self.is_free(address) or (address, switch.mode) in self.failed:
                self._resting.discard(address)
            elif not self.blocked:
                self._begin(switch, to_rest=True).task.add_done_callback(partial(self._rested, address))

    def _rested(self, address: PciAddress, task: "asyncio.Task[Refused | None]") -> None:
        refused = None if task.cancelled() or task.exception() else task.result()
        if refused is None or not refused.passes:
            self._resting.discard(address)

    async def close(self) -> None:
        """Ends what is under way; a write that the kernel has begun goes on without us."""
        tasks = [move.task for move in self._moves.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _offers(listing: Listing, address: PciAddress, mode: str) -> bool:
    return any(device.gpu.address == address and device.mode == mode for device in listing.devices)


def _late(where: str, expected: str, seconds: float) -> NotReadyError:
    return NotReadyError(
        where,
        expected=expected,
        found=f"it is being switched since {seconds:.0f} s",
        action="the switch goes on, and the next try finds it; if this lasts, see dmesg for amdgpu",
    )


def _error(switch: Switch, before: str | None, refused: Refused, where: str) -> DriverError:
    expected = f"GPU {switch.address} to be switched from {before or 'an unknown mode'} to {switch.mode}"
    if refused.passes:
        action = "end what uses the GPU, or wait for its end; it is tried again"
        return NotReadyError(where, expected=expected, found=refused.found, action=action)
    action = "see dmesg for amdgpu and kfd; " + (
        "the mode is withheld until amdgpu is loaded anew or the plugin is restarted"
        if refused.spoils
        else "see docs/howto/troubleshoot-partitions.md"
    )
    return HostError(where, expected=expected, found=refused.found, action=action)

"""`HealthBoard`: one per process; any number watch it."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping

from amdgpu_dra.agent.ports import Clock
from amdgpu_dra.core.devices import Listing
from amdgpu_dra.core.gpu import Inventory
from amdgpu_dra.core.health import DeviceHealth, Health, Report, doubt, judge, withdraw

_LOG = logging.getLogger("health")
AGAIN = 20.0
"""Seconds after which a report is sent though nothing has changed."""
LEASE = 60
"""Seconds for which a report is good: two may be lost or late, and the third still comes in time.

After as long without a look the devices are said to be unknown. A kubelet may renew its lease by the receipt of a
report and not by the time that stands in it, so a reader that hangs would otherwise leave devices healthy for ever.
"""


class HealthBoard:
    """Keeps the latest judgement and wakes who watches.

    Attributes:
        longest: seconds without a look after which nothing is known any more.
    """

    def __init__(self, clock: Clock, *, interval: float) -> None:
        """`interval`: seconds between two looks; one of three may fail before devices are unknown."""
        self._clock = clock
        self.longest = max(float(LEASE), 3 * interval)
        self._judged: tuple[DeviceHealth, ...] = ()
        self._withdrawn: Mapping[str, str] = {}
        self._looked: float | None = None
        self._failure = ""
        self._changed: asyncio.Future[None] | None = None
        self._closed = False

    def judge(self, inventory: Inventory, listing: Listing) -> None:
        """Takes what was found, or the same once more; whether there was a look, `note_look` is told."""
        now = judge(self._judged, inventory, listing)
        before, self._judged = self._judged, now
        if now != before:
            _log(before, now)
            self._wake()

    def withdraw(self, devices: Mapping[str, str]) -> None:
        """Says which devices claims hold and cannot use, and why, by published name; others are as they are judged."""
        if devices != self._withdrawn:
            self._withdrawn = dict(devices)
            self._wake()

    def note_look(self, failure: str = "") -> None:
        """A look at the GPUs is over; `failure` says why it gave no answer, and then nothing is known."""
        if not failure:
            self._looked = self._clock.now()
        if failure != self._failure:
            self._failure = failure
            self._wake()

    def report(self) -> Report:
        """What is known now."""
        age = None if self._looked is None else self._clock.now() - self._looked
        devices = withdraw(self._judged, self._withdrawn)
        if self._failure:
            devices = doubt(devices, f"the node's GPUs cannot be read: {self._failure}")
        elif age is None or age > self.longest:
            devices = doubt(devices, f"no look at the node's GPUs has ended for {self.longest:.0f} s")
        return Report(devices=devices, age=age, lease=LEASE)

    async def watch(self) -> AsyncGenerator[Report]:
        """A report at once, one on each change, and one every `AGAIN` seconds; ends when the board is closed."""
        while not self._closed:
            # Taken before the report: what changes while that is sent is seen right after.
            changed = self._next_change()
            yield self.report()
            await self._clock.wait(changed, AGAIN)

    def close(self) -> None:
        """Ends every watch, and each later one at once."""
        self._closed = True
        self._wake()

    def _next_change(self) -> asyncio.Future[None]:
        if self._changed is None:
            self._changed = asyncio.get_running_loop().create_future()
        return self._changed

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set_result(None)
            self._changed = None


def _log(before: tuple[DeviceHealth, ...], now: tuple[DeviceHealth, ...]) -> None:
    """One line for each reason that is new, and how many devices it concerns; one when all are well again."""
    said = {item.message for item in before}
    counts: dict[str, int] = {}
    for item in now:
        if item.health != Health.HEALTHY:
            counts[item.message] = counts.get(item.message, 0) + 1
    for message, count in counts.items():
        if message not in said:
            _LOG.warning("%d devices are not healthy: %s", count, message)
    if not counts and any(said):
        _LOG.info("all devices are healthy")

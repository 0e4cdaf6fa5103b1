"""Shared counters of one pool: what is left of them, and what is being allocated."""

from collections.abc import Mapping

from amdgpu_dra.core.allocate.model import Counter, Device
from amdgpu_dra.core.allocate.pools import Pool
from amdgpu_dra.core.allocate.state import AllocatedState


class Ledger:
    """The counters of a pool during one allocation.

    A device is refused if one of its counters does not suffice, or if any counter of the pool is overdrawn already:
    upstream looks at all of them.
    """

    __slots__ = ("_overdrawn", "_totals", "_used", "held")

    def __init__(self, pool: Pool, state: AllocatedState) -> None:
        self._totals = pool.counters
        self.held = held_counters(pool, state)
        self._used = dict(self.held)
        self._overdrawn = tuple(key for key in self._used if self.available(key) < 0) + tuple(
            (name, counter)
            for name, counters in pool.counters.items()
            for counter, value in counters.items()
            if value < 0 and (name, counter) not in self._used
        )

    def available(self, key: Counter) -> int:
        """What is left, in nano units; may be negative. Counters that the pool does not have are without limit."""
        return self._totals[key[0]][key[1]] - self._used.get(key, 0)

    def reserve(self, device: Device) -> bool:
        """Takes what the device consumes, or refuses and changes nothing."""
        used, totals = self._used, self._totals
        for key, amount in device.takes:
            used[key] = used.get(key, 0) + amount
        for key, _ in device.takes:
            if used[key] > totals[key[0]][key[1]]:
                self.release(device)
                return False
        if self._overdrawn and any(self.available(key) < 0 for key in self._overdrawn):
            self.release(device)
            return False
        return True

    def release(self, device: Device) -> None:
        """Gives back what `reserve` took."""
        for key, amount in device.takes:
            self._used[key] -= amount

    @property
    def overdrawn(self) -> tuple[Counter, ...]:
        """Counters of which more is held than there is."""
        return self._overdrawn


def held_counters(pool: Pool, state: AllocatedState) -> dict[Counter, int]:
    """What the devices that are held take of the pool's counters; each device once, however many share it."""
    names = state.held_in(pool.id)
    used: dict[Counter, int] = {}
    if names:
        for device in (*pool.devices, *pool.others):
            if device.takes and device.id.device in names:
                for key, amount in device.takes:
                    used[key] = used.get(key, 0) + amount
    return used


type Groups = frozenset[str] | None
"""The groups that all devices placed on a counter set share; empty: none of them declares any; None: no device yet."""


_NOTHING: frozenset[str] = frozenset([""])  # devices that never agreed; no group is called that


class Compatibility:
    """Compatibility groups by counter set of one pool during one allocation."""

    __slots__ = ("_now",)

    def __init__(self, pool: Pool, state: AllocatedState) -> None:
        self._now: dict[str, Groups] = {}
        names = state.held_in(pool.id)
        if names:
            for device in (*pool.devices, *pool.others):
                if device.id.device in names:
                    for name, groups in device.groups:
                        self._now[name] = _join(self._now.get(name), groups)

    def place(self, device: Device) -> "Mapping[str, Groups] | None":
        """Places the device and gives what to restore; None, with nothing changed, if it does not go with the rest."""
        before: dict[str, Groups] = {}
        for name, groups in device.groups:
            now = self._now.get(name)
            if now is not None and not (now & groups if now else not groups):
                self.restore(before)
                return None
            before.setdefault(name, now)
            self._now[name] = _join(now, groups)
        return before

    def restore(self, before: "Mapping[str, Groups]") -> None:
        """Takes a placing back."""
        self._now.update(before)


def _join(now: Groups, groups: frozenset[str]) -> Groups:
    if now is None:
        return groups
    return (now & groups or _NOTHING) if now and groups else now

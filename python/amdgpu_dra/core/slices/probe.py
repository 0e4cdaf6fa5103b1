"""Finds out whether a cluster keeps shared counters: what to ask it, and how to read the answer."""

import re
from dataclasses import replace
from fractions import Fraction

from amdgpu_dra.api.resource import CounterConsumption, CounterSet, Device, ResourceSlice
from amdgpu_dra.core.slices.build import build_slices

_VERSION = re.compile(r"v?(\d+)\.(\d+)")
# 1.34 has counters and devices in one slice; the slices of their own came with 1.35.
_OLDEST = (1, 35)


def probe_slices(*, node: str, node_uid: str) -> tuple[ResourceSlice, ...]:
    """A slice with a counter and one with a device that takes of it, for a dry run: under names that nobody has."""
    counters = {"c": Fraction(1)}
    device = Device(name="probe", consumes_counters=(CounterConsumption(counter_set="probe", counters=counters),))
    slices = build_slices((device,), (CounterSet(name="probe", counters=counters),), node=node, node_uid=node_uid)
    return tuple(replace(item, name=f"probe-{item.name}"[:253].rstrip("-."), generation=1) for item in slices)


def find_too_old(version: str) -> str | None:
    """Why a server of this version cannot keep counters in slices of their own; None if it can, or if nobody knows."""
    match = _VERSION.match(version)
    if match is None or (int(match[1]), int(match[2])) >= _OLDEST:
        return None
    return f"the API server is {version}, and counters in slices of their own came with 1.35"


def find_dropped(sent: ResourceSlice, stored: ResourceSlice) -> str | None:
    """What of a slice's counters came back otherwise than it was sent; None if nothing did."""
    if stored.shared_counters != sent.shared_counters:
        return "sharedCounters came back otherwise than they were sent"
    if [item.consumes_counters for item in stored.devices] != [item.consumes_counters for item in sent.devices]:
        return "consumesCounters came back otherwise than they were sent"
    return None

"""What users are told of slices: repairs, and fields that the server dropped."""

import asyncio
from collections.abc import Callable
from fractions import Fraction
from functools import partial

import pytest

from amdgpu_dra.agent.publish import Publisher
from amdgpu_dra.api.reasons import Reason
from amdgpu_dra.api.resource import CounterConsumption, CounterSet, Device
from amdgpu_dra.testing.fakes import FakeClock, FakeSlices

NAME = "00000-gpu.amd.com-n"


def _has(api: FakeSlices, device: str) -> bool:
    return NAME in api.slices and api.slices[NAME].devices[0].name == device


async def _until(look: Callable[[], bool]) -> None:
    while not look():
        await asyncio.sleep(0)


def test_a_repair_is_told_and_a_change_of_our_own_is_not() -> None:
    """Two slices of ours in turn are no repair; the second, deleted by somebody, is one."""
    api, told = FakeSlices(), list[str]()

    async def story() -> None:
        publisher = Publisher(api, FakeClock(), node="n")
        publisher.on_event = lambda reason, _message: told.append(reason)
        task = asyncio.create_task(publisher.run())
        async with asyncio.timeout(10):
            for name in ("gpu-0", "gpu-1"):
                publisher.want((Device(name=name),))
                await _until(partial(_has, api, name))
            assert told == []
            api.take(NAME)
            await _until(lambda: NAME in api.slices)
            await _until(lambda: bool(told))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(story())
    assert told == [Reason.SLICES_REPAIRED]


def test_dropped_fields_are_told() -> None:
    """As where the gate of counters is off: the slice by its name."""
    api, told = FakeSlices(), list[tuple[str, str]]()
    api.drops_counters = True

    async def story() -> None:
        publisher = Publisher(api, FakeClock(), node="n")
        publisher.on_event = lambda reason, message: told.append((reason, message))
        task = asyncio.create_task(publisher.run())
        counters = {"xcc": Fraction(1)}
        taken = (CounterConsumption(counter_set="s", counters=counters),)
        publisher.want((Device(name="gpu-0", consumes_counters=taken),), (CounterSet(name="s", counters=counters),))
        async with asyncio.timeout(10):
            await _until(lambda: bool(told))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(story())
    assert (Reason.FIELDS_DROPPED, f"slice {NAME} came back without fields that it was sent with") in told


@pytest.mark.parametrize(("fault", "expected"), [("refuses", {Reason.SLICES_REFUSED}), ("down", set())])
def test_a_refusal_is_told_and_an_outage_is_not(fault: str, expected: set[str]) -> None:
    """Nobody but a person can help where the server refuses; where it does not answer everybody knows."""
    api, told = FakeSlices(), set[str]()
    setattr(api, fault, True)

    async def story() -> None:
        publisher = Publisher(api, FakeClock(), node="n")
        publisher.on_event = lambda reason, _message: told.add(reason)
        publisher.want((Device(name="gpu-0"),))
        task = asyncio.create_task(publisher.run())
        async with asyncio.timeout(10):
            await _until(lambda: api.asked >= 3)
            setattr(api, fault, False)
            await _until(lambda: _has(api, "gpu-0"))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(story())
    assert told == expected

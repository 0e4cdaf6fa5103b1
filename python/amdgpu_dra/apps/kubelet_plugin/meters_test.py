"""What is counted of calls, whatever becomes of them."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping

import pytest

from amdgpu_dra.agent.claims import Answer
from amdgpu_dra.api.metrics import Metric
from amdgpu_dra.apps.kubelet_plugin.meters import Calls, timed

IDS = [("a", "ns", "a"), ("b", "ns", "b")]


class Counts:
    """Counts durations by their labels."""

    def __init__(self) -> None:
        self.found: Counter[tuple[str, ...]] = Counter()

    def count(self, metric: Metric, *labels: str) -> None:
        """See ports.Metrics."""

    def observe(self, metric: Metric, seconds: float, *labels: str) -> None:
        """See ports.Metrics."""
        assert metric.name == "amdgpu_dra_claim_seconds"
        assert seconds >= 0
        self.found[labels] += 1

    def put(self, metric: Metric, values: Mapping[tuple[str, ...], float]) -> None:
        """See ports.Metrics."""


async def _half(ids: Iterable[tuple[str, str, str]]) -> Mapping[str, Answer]:
    return {uid: Answer(error="no" if uid == "b" else "") for uid, _, _ in ids}


async def _never(ids: Iterable[tuple[str, str, str]]) -> Mapping[str, Answer]:
    await asyncio.Event().wait()
    return await _half(ids)


def test_each_claim_of_a_call_counts_once() -> None:
    """By result, also if the claims can be gone through only once."""
    counts = Counts()

    answers = asyncio.run(_call(timed(counts, "Prepare", _half)))
    assert set(answers) == {"a", "b"}
    assert counts.found == {("Prepare", "ok"): 1, ("Prepare", "error"): 1}


async def _call(call: Calls) -> Mapping[str, Answer]:
    return await call(iter(IDS))


def test_a_call_that_is_given_up_counts_as_well() -> None:
    """The longest of all would be missing otherwise."""
    counts = Counts()

    async def story() -> None:
        task = asyncio.ensure_future(_call(timed(counts, "Unprepare", _never)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(story())
    assert counts.found == {("Unprepare", "given-up"): 2}


def test_without_metrics_a_call_is_the_call_itself() -> None:
    """Nothing is wrapped where nothing is counted."""
    assert timed(None, "Prepare", _half) is _half

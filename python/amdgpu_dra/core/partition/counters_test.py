"""Counters: exactly the partitions of one mode fit together, whatever is held already."""

from collections.abc import Mapping
from fractions import Fraction

import pytest

from amdgpu_dra.api.resource import CounterConsumption
from amdgpu_dra.core.fakegpu import MODELS
from amdgpu_dra.core.partition import consume, counter_set, partition_count

# Every model of the table under every memory mode that it has: mode -> partitions, from coarse to fine.
ROWS = {
    f"{name}-{memory}": dict(
        sorted(((mode, partition_count(mode, model.xccs) or 0) for mode in legal), key=lambda item: item[1])
    )
    for name, model in MODELS.items()
    for memory, legal in model.legal.items()
}


def _candidates(modes: Mapping[str, int]) -> list[tuple[str, int]]:
    return [(mode, index) for mode, count in modes.items() for index in range(count)]


@pytest.mark.parametrize("row", ROWS)
def test_exactly_the_subsets_of_one_mode_fit(row: str) -> None:
    """Of all subsets of one GPU's partitions (32,768 for 15) those of one mode fit, and no other."""
    modes = ROWS[row]
    devices = _candidates(modes)
    counters = counter_set("gpu", modes)
    names = sorted(counters.counters) if counters else []
    most = [counters.counters[name] for name in names] if counters else []
    takes = [_taken(consume("gpu", modes, *device), names) for device in devices]
    used = [[Fraction(0)] * len(names)]
    for subset in range(1, 1 << len(devices)):
        last = subset.bit_length() - 1
        used.append([a + b for a, b in zip(used[subset & ~(1 << last)], takes[last], strict=True)])
        held = {devices[i][0] for i in range(last + 1) if subset >> i & 1}

        assert (len(held) == 1) == all(a <= b for a, b in zip(used[-1], most, strict=True)), (subset, held)


def _taken(consumption: tuple[CounterConsumption, ...], names: list[str]) -> list[Fraction]:
    found = {name: value for item in consumption for name, value in item.counters.items()}
    return [found.get(name, Fraction(0)) for name in names]


@pytest.mark.parametrize(
    ("modes", "counters"),
    [
        ({"SPX": 1, "DPX": 2, "QPX": 4, "CPX": 8}, 7),
        ({"QPX": 4, "CPX": 8}, 4),
        ({"DPX": 2, "QPX": 4, "CPX": 8}, 6),
        ({"SPX": 1, "TPX": 3, "CPX": 6}, 4),
        ({"SPX": 1, "DPX": 2, "CPX": 4}, 3),
        ({"CPX": 8}, 0),
        ({"SPX": 1}, 0),
    ],
    ids=["mi300x-nps1", "mi300x-nps4", "mi350x-nps2", "mi300a", "mi308x-nps1", "one-mode", "whole-only"],
)
def test_a_gpu_has_a_counter_for_each_partition_that_is_not_the_finest(modes: dict[str, int], counters: int) -> None:
    """One set a GPU, none for a GPU with one mode, and each value is the most finer partitions there can be."""
    found = counter_set("gpu", modes)

    assert len(found.counters if found else ()) == counters
    assert {int(value) for value in (found.counters.values() if found else ())} <= {max(modes.values())}
    assert {item.counter_set for device in _candidates(modes) for item in consume("gpu", modes, *device)} == (
        {"gpu"} if counters else set()
    )

"""Counters that let exactly the partitions of one mode of a GPU be allocated together.

One set for each GPU. Every partition of a mode that is not the finest has a counter of its own, as large as the most
finer partitions that can exist at once. It takes all of it; every partition of a finer mode of the same GPU takes 1 of
it, whether they overlap or not, since the whole GPU is in one mode; its siblings take none.
"""

from collections.abc import Mapping
from fractions import Fraction

from amdgpu_dra.api.resource import CounterConsumption, CounterSet


def counter_set(name: str, modes: Mapping[str, int]) -> CounterSet | None:
    """The counters of a GPU with these modes (mode -> partitions, from coarse to fine); None if it has one mode."""
    counters = {
        _counter(mode, index): Fraction(_most_finer(modes, mode))
        for mode in list(modes)[:-1]
        for index in range(modes[mode])
    }
    return CounterSet(name=name, counters=counters) if counters else None


def consume(name: str, modes: Mapping[str, int], mode: str, index: int) -> tuple[CounterConsumption, ...]:
    """What a partition of `mode` takes of the set `name` of its GPU; nothing if the GPU has one mode."""
    order = list(modes)
    position = order.index(mode)
    taken = {_counter(coarser, i): Fraction(1) for coarser in order[:position] for i in range(modes[coarser])}
    if position < len(order) - 1:
        taken[_counter(mode, index)] = Fraction(_most_finer(modes, mode))
    return (CounterConsumption(counter_set=name, counters=taken),) if taken else ()


def _counter(mode: str, index: int) -> str:
    return f"{mode.lower()}-{index}"


def _most_finer(modes: Mapping[str, int], mode: str) -> int:
    order = list(modes)
    return max(modes[finer] for finer in order[order.index(mode) + 1 :])

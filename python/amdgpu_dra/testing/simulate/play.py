"""The play: the same requests, whatever the order of devices."""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from amdgpu_dra.testing.simulate.pool import Pool

WHOLE = "SPX"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One device of a compute mode, for so many arrivals of others; `nodes` in the order in which they are tried."""

    mode: str
    stays: float
    nodes: tuple[int, ...]


@dataclass(slots=True, kw_only=True)
class Outcome:
    """Counts of a play.

    Attributes:
        whole, partitions: requests.
        blocked: requests for a whole GPU that were refused although a node had a GPU's worth of XCCs free.
        full: such requests that were refused because no node had so many.
        partitions_refused: requests for a partition that were refused.
    """

    whole: int = 0
    partitions: int = 0
    blocked: int = 0
    full: int = 0
    partitions_refused: int = 0

    def __add__(self, other: "Outcome") -> "Outcome":
        return Outcome(**{name: getattr(self, name) + getattr(other, name) for name in self.__slots__})


def draw_requests(random: Random, *, count: int, nodes: int, mix: Mapping[str, int], stays: float) -> list[Request]:
    """Requests of kinds by weight; each stays for `stays` arrivals on average (exponential)."""
    modes, weights = list(mix), list(mix.values())
    return [
        Request(
            mode=random.choices(modes, weights)[0],
            stays=random.expovariate(1 / stays),
            nodes=tuple(random.sample(range(nodes), nodes)),
        )
        for _ in range(count)
    ]


def play(pools: Sequence[Pool], requests: Sequence[Request]) -> Outcome:
    """Serves each request by first fit when it arrives, or refuses it for ever."""
    outcome = Outcome()
    leaving: list[tuple[float, int, str]] = []
    for now, request in enumerate(requests):
        while leaving and leaving[0][0] <= now:
            _, node, name = heapq.heappop(leaving)
            pools[node].give_back(name)
        for node in request.nodes:
            device = pools[node].take(request.mode)
            if device is not None:
                heapq.heappush(leaving, (now + request.stays, node, device.name))
                break
        else:
            _refuse(outcome, request, pools)
        outcome.whole += request.mode == WHOLE
        outcome.partitions += request.mode != WHOLE
    return outcome


def _refuse(outcome: Outcome, request: Request, pools: Sequence[Pool]) -> None:
    if request.mode != WHOLE:
        outcome.partitions_refused += 1
    elif any(pool.free_xccs >= pool.most for pool in pools):
        outcome.blocked += 1
    else:
        outcome.full += 1

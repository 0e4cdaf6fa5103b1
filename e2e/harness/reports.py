"""Who held which GPU, and when: what the pods of the load wrote (`scenarios/soak.yaml`), read and judged.

Knows the form of a report. Refuses to know clusters.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One start of a pod's container: the GPUs that it could open, and from when to when it is known to have held them.

    Attributes:
        minors: of the render nodes; a text that is no number says what is wrong.
        start, last: seconds since 1970.
        ended: whether it said so; one that was killed did not.
    """

    pod: str
    minors: frozenset[str]
    start: float
    last: float
    ended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a pod shall have done.

    Attributes:
        gpus: how many it claims.
        ends: whether it ends by itself or when told to, and not with its node.
    """

    gpus: int
    ends: bool = True


def parse_reports(lines: Iterable[str]) -> list[Hold]:
    """Reads lines `POD:TIME WORD …`; those of one pod stand together and in order."""
    found: list[Hold] = []
    for line in lines:
        pod, _, rest = line.partition(":")
        time, *words = rest.split()
        match words:
            case ["start", *minors]:
                moment = float(time)
                found.append(Hold(pod=pod, minors=frozenset(minors), start=moment, last=moment, ended=False))
            case ["beat" | "end" as word] if found and found[-1].pod == pod:
                before = found.pop()
                found.append(
                    Hold(pod=pod, minors=before.minors, start=before.start, last=float(time), ended=word == "end")
                )
    return found


def judge(holds: Sequence[Hold], expected: Mapping[str, Expected]) -> list[str]:
    """What is wrong with the reports, in sentences; empty if nothing is."""
    return [*_wrong_pods(holds, expected), *_shared(holds)]


def _wrong_pods(holds: Sequence[Hold], expected: Mapping[str, Expected]) -> Iterator[str]:
    by_pod = {pod: list(group) for pod, group in groupby(holds, key=lambda hold: hold.pod)}
    for pod, wanted in expected.items():
        starts = by_pod.get(pod, [])
        if not starts:
            yield f"{pod} never ran"
            continue
        for hold in starts:
            if len(hold.minors) != wanted.gpus or not all(minor.isdigit() for minor in hold.minors):
                yield f"{pod} claims {wanted.gpus} GPUs and got {sorted(hold.minors)}"
        if len({hold.minors for hold in starts}) > 1:
            yield f"{pod} had other GPUs after a restart: {[sorted(hold.minors) for hold in starts]}"
        if wanted.ends and not starts[-1].ended:
            yield f"{pod} did not end"
    yield from (f"{pod} reported and was never made" for pod in by_pod if pod not in expected)


def _shared(holds: Sequence[Hold]) -> Iterator[str]:
    """GPUs that two pods held at one time."""
    for minor in sorted({minor for hold in holds for minor in hold.minors}):
        longest: Hold | None = None
        for hold in sorted((h for h in holds if minor in h.minors), key=lambda h: h.start):
            if longest is not None and longest.pod != hold.pod and hold.start <= longest.last:
                yield f"GPU {minor} was held by {longest.pod} until {longest.last} and by {hold.pod} from {hold.start}"
            if longest is None or hold.last > longest.last:
                longest = hold

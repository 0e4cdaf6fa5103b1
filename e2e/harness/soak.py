"""A load under faults: what it found, and its figures."""

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.cluster import Cluster
from harness.driver import PLUGIN_FOLDER
from harness.faults import PAUSED, REBOOT, RESUMED, Happened, check_plugin_log, run_round, wait_rollout
from harness.host import CommandError
from harness.load import Entry, Load, prepare_load, read_reports
from harness.reports import Expected, Hold, judge
from harness.retries import Span, check_waits, find_races, parse_failures

_LOAD, _REFUSED = "soak", "FailedPrepareDynamicResources"
# How many pods there shall be, in the number that is there at once; and the longest time between two signs of life.
_GENERATIONS, _BEAT = 3, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a load.

    Attributes:
        problems: in sentences; empty if every pod did what it should and nothing is left.
        faults: by name, how often.
        waits: pod -> seconds from its scheduling to its first start.
        retried: of these pods, those of which a Prepare failed, which the kubelet tried again.
        races: of these, those that the node authorizer held up.
        events: reasons of Events on the load's objects, with how often.
    """

    problems: tuple[str, ...]
    pods: int
    starts: int
    faults: Mapping[str, int]
    waits: Mapping[str, float]
    retried: frozenset[str]
    races: frozenset[str]
    events: Mapping[str, int]

    def table(self) -> str:
        """The figures, in Markdown."""
        straight = [wait for pod, wait in self.waits.items() if pod not in self.retried]
        retried = [wait for pod, wait in self.waits.items() if pod in self.retried and pod not in self.races]
        raced = [wait for pod, wait in self.waits.items() if pod in self.races]
        rows: list[tuple[str, object]] = [
            ("pods with claims", self.pods),
            ("starts of their containers", self.starts),
            *self.faults.items(),
            ("problems", len(self.problems)),
            ("scheduled to running, prepared at the first try", _span(straight)),
            ("the same, with a Prepare that the kubelet had to try again", _span(retried)),
            ("the same, held up by the node authorizer", _span(raced)),
            *((f"Event {reason}", count) for reason, count in sorted(self.events.items())),
        ]
        return "\n".join(["| what | figure |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def _span(waits: Sequence[float]) -> str:
    """How many, and how long."""
    return f"{len(waits)}: median {statistics.median(waits):.1f} s, longest {max(waits):.1f} s" if waits else "none"


def run_soak(cluster: Cluster, *, pods: int, seconds: float, tell: Callable[[str], None]) -> Outcome:
    """Keeps a load for whole rounds of faults until so long is over; the driver is installed, and stays.

    Args:
        cluster: one for faults.
        pods: how many at once.
        seconds: of load at least; one round of `faults.ROUND` takes about two minutes.
        tell: is given a line for each step.
    """
    before = read_devices(cluster)
    prepare_load(cluster, _LOAD)
    load = Load(cluster, _LOAD, pods)
    faults: list[Happened] = []
    with load.running():
        until = time.monotonic() + seconds
        while not faults or time.monotonic() < until:
            faults += run_round(cluster, tell)
        # A pod that waits for the kubelet's next try keeps its GPU, and others wait for that.
        enough = _GENERATIONS * pods
        tell(f"{len(load.ledger)} pods were made; {enough} shall be")
        cluster.wait(f"{enough} pods to be made", lambda: len(load.ledger) >= enough, seconds=300)
    tell(f"{len(load.ledger)} pods were made; waiting for the last to end")
    load.drain(seconds=200)
    holds = read_reports(cluster)
    events = _read_events(cluster)
    waits = _waits(load.ledger.values(), holds)
    failures = parse_failures(cluster.in_node("journalctl", "--no-pager", "-u", "kubelet").splitlines(), _LOAD)
    lost = _find_lost(load.ledger, holds, faults)
    problems = [
        *judge(holds, {name: Expected(gpus=e.gpus, ends=name not in lost) for name, e in load.ledger.items()}),
        *_check_ledger(load.ledger.values()),
        *check_waits(waits, failures, _find_away(faults)),
        *find_left_over(cluster, _LOAD, before),
    ]
    return Outcome(
        problems=tuple(problems),
        pods=len(load.ledger),
        starts=len(holds),
        faults=Counter(item.fault for item in faults),
        waits={pod: wait.seconds for pod, wait in waits.items()},
        retried=frozenset(failures),
        races=find_races(failures),
        events=_count_events(events),
    )


def read_devices(cluster: Cluster) -> dict[str, Any]:
    """What the node publishes: device -> all that is said of it."""
    return {
        device["name"]: device
        for item in cluster.get("resourceslices")
        for device in item["spec"].get("devices", [])
        if item["spec"]["driver"] == "gpu.amd.com"
    }


def find_left_over(cluster: Cluster, namespace: str, before: Mapping[str, Any]) -> list[str]:
    """What a load left behind, in sentences; the namespace is gone afterwards.

    Args:
        cluster: in which the load's pods have ended.
        namespace: of the load.
        before: what `read_devices` gave before it.
    """
    found = [text for look in _CHECKS if (text := _try(look, cluster, before))]
    # Claims of templates go after their pods, and the kubelet clears up once a minute what it missed.
    deadline = time.monotonic() + 75
    while (left := _look_left(cluster, namespace)) and time.monotonic() < deadline:
        time.sleep(1)
    cluster.kubectl("delete", "namespace", namespace, "--wait", "--timeout=120s", timeout=130)
    return found + left


def _look_left(cluster: Cluster, namespace: str) -> list[str]:
    claims = [claim["metadata"]["name"] for claim in cluster.get("resourceclaims", namespace=namespace)]
    files = cluster.in_node("find", "/var/run/cdi", f"{PLUGIN_FOLDER}/claims", "-type", "f").split()
    state = cluster.in_node("cat", "/var/lib/kubelet/dra_manager_state")
    found = [f"claim {name} is left" for name in claims]
    found += [f"file {name} is left" for name in files]
    found += ["the kubelet has claims of the driver in its state"] if "gpu.amd.com" in state else []
    return found


def _await_slices(cluster: Cluster, before: Mapping[str, Any]) -> None:
    cluster.wait("the slices of before", lambda: read_devices(cluster) == before, seconds=60)


def _await_plugin(cluster: Cluster, _: Mapping[str, Any]) -> None:
    wait_rollout(cluster)
    check_plugin_log(cluster)


_CHECKS = (_await_plugin, _await_slices)


def _try(look: Callable[[Cluster, Mapping[str, Any]], None], cluster: Cluster, before: Mapping[str, Any]) -> str:
    """What is wrong by a check that raises; a load has more to tell than its first defect."""
    try:
        look(cluster, before)
    except (AssertionError, CommandError) as error:
        return str(error)
    return ""


def _read_events(cluster: Cluster) -> list[dict[str, Any]]:
    """The driver's Events, and those of the kubelet about Prepares that failed."""
    items = [*cluster.get("events", namespace=_LOAD), *cluster.get("events", namespace="default")]
    return [item for item in items if item["reason"] == _REFUSED or item.get("reportingComponent") == "gpu.amd.com"]


def _count_events(events: Iterable[dict[str, Any]]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for event in events:
        counts[event["reason"]] += _times(event)
    return counts


def _waits(ledger: Iterable[Entry], holds: Sequence[Hold]) -> dict[str, Span]:
    """Pod -> from its scheduling, of which the API server keeps whole seconds, to its first start."""
    first: dict[str, float] = {}
    for hold in holds:
        first.setdefault(hold.pod, hold.start)
    return {e.name: Span(start=e.scheduled, end=first[e.name]) for e in ledger if e.name in first}


def _find_away(faults: Sequence[Happened]) -> list[Span]:
    """When the API server or the node were away."""
    paused = [item.start for item in faults if item.fault == PAUSED]
    resumed = [item.end for item in faults if item.fault == RESUMED]
    spans = [Span(start=start, end=end) for start, end in zip(paused, resumed, strict=True)]
    return spans + [Span(start=item.start, end=item.end) for item in faults if item.fault == REBOOT]


def _times(event: dict[str, Any]) -> int:
    """How often an Event happened."""
    return int(event.get("count") or event.get("series", {}).get("count") or 1)


def _find_lost(ledger: Mapping[str, Entry], holds: Sequence[Hold], faults: Iterable[Happened]) -> set[str]:
    """Pods that were told to end before they ran again after a reboot, so that they never said that they do."""
    reboots = [item for item in faults if item.fault == REBOOT]
    last = {hold.pod: hold for hold in holds}
    return {
        pod
        for pod, hold in last.items()
        if not hold.ended
        and pod in ledger
        and ledger[pod].told
        and any(item.start - _BEAT <= hold.last <= item.end for item in reboots)
    }


def _check_ledger(ledger: Iterable[Entry]) -> list[str]:
    found = []
    for entry in ledger:
        # One that is told to end is Failed too if it is killed for being slow, or ended with its node.
        if "Failed" in entry.phases and not entry.told:
            found.append(f"{entry.name} failed")
        if not entry.gone:
            found.append(f"{entry.name} is still there; it was {sorted(entry.phases)}: {entry.why}")
    return found

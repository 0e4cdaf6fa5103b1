"""Prepares that failed and that the kubelet tried again, read from its log, and how long pods may wait for that.

Events would say the same, but those of the seconds before a reboot are lost.

Knows the form of the kubelet's log. Refuses to know clusters.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_FAILED = re.compile(r'"Failed to prepare dynamic resources" err="(.*)" pod="([^"/]+)/([^"/]+)"')
# Seconds from scheduled to running. A Prepare that failed, whatever made it fail, is tried again at the kubelet's next
# look at the pod: after 60 to 90 s (podWorkers.completeWork: resyncInterval with a jitter of a half).
_LONGEST, _RETRY = 60.0, 90.0


def parse_failures(lines: Iterable[str], namespace: str) -> dict[str, list[str]]:
    """Pod of the namespace -> why its Prepares failed, one text for each time."""
    found: dict[str, list[str]] = {}
    for line in lines:
        match = _FAILED.search(line)
        if match and match[2] == namespace:
            found.setdefault(match[3], []).append(match[1])
    return found


def find_races(failures: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Pods whose claim the kubelet was forbidden to read: its GET overtook the node authorizer's graph."""
    return frozenset(pod for pod, texts in failures.items() if any("is forbidden" in text for text in texts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From when to when, in seconds since 1970."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """Its length; none if it ends before it starts."""
        return max(0.0, self.end - self.start)


def check_waits(
    waits: Mapping[str, Span], failures: Mapping[str, Sequence[str]], away: Sequence[Span] = ()
) -> list[str]:
    """Which pods waited too long, in sentences.

    Args:
        waits: pod -> from its scheduling to its start.
        failures: what `parse_failures` gives.
        away: when API server or node were away, one after another; nothing can start then.
    """
    found = []
    for pod, wait in waits.items():
        count = len(failures.get(pod, ()))
        in_vain = sum(Span(start=max(wait.start, a.start), end=min(wait.end, a.end)).seconds for a in away)
        if wait.seconds - in_vain > _LONGEST + _RETRY * count:
            found.append(
                f"{pod} waited {wait.seconds:.1f} s with {count} Prepares that failed; API server or node were away for"
                f" {in_vain:.1f} s of it"
            )
    return found

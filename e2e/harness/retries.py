"""Prepares that failed and that the kubelet tried again, read from its log, and how long pods may wait for that.

Events would say the same, but those of the seconds before a reboot are lost.

Knows the form of the kubelet's log. Refuses to know clusters.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

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


def check_waits(waits: Mapping[str, float], failures: Mapping[str, Sequence[str]]) -> list[str]:
    """Which pods waited too long, in sentences; `waits`: pod -> seconds from its scheduling to its start."""
    counts = {pod: len(failures.get(pod, ())) for pod in waits}
    return [
        f"{pod} waited {wait:.1f} s with {counts[pod]} Prepares that failed"
        for pod, wait in waits.items()
        if wait > _LONGEST + _RETRY * counts[pod]
    ]

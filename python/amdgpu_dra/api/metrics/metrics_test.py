"""The table of metrics: well-formed, bounded, and the reference in the docs is current."""

import re
from pathlib import Path

from amdgpu_dra.api.metrics import BUCKETS, METRICS

REFERENCE = Path("docs/reference/metrics.md")


def test_names_are_those_that_prometheus_takes() -> None:
    """Each name is there once, and has our prefix; labels are plain words."""
    names = [row.name for row in METRICS]

    assert len(set(names)) == len(names)
    assert all(re.fullmatch("amdgpu_dra_[a-z_]+", name) for name in names)
    assert all(re.fullmatch("[a-z]+", label) for row in METRICS for label in row.labels)


def test_no_label_grows_with_claims() -> None:
    """Labels are of the few that have a bounded number of values; buckets start at 1 ms and rise."""
    assert {label for row in METRICS for label in row.labels} <= {
        "code",
        "method",
        "mode",
        "reason",
        "result",
        "state",
        "type",
        "verb",
    }
    assert BUCKETS[0] == 0.001
    assert list(BUCKETS) == sorted(set(BUCKETS))


def test_the_reference_is_current() -> None:
    """docs/reference/metrics.md is what the table says; the message holds the new text."""
    rows = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    rows += [
        f"| `{row.name}` | {row.kind} | {', '.join(f'`{label}`' for label in row.labels)} | {row.help} |"
        for row in METRICS
    ]
    head = "# Metrics\n\nServed at `/metrics` where `--metrics-port` is set; no label holds the name of a claim.\n\n"

    assert REFERENCE.read_text() == head + "\n".join(rows) + "\n"

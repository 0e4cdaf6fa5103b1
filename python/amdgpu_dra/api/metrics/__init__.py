"""The metrics of the plugin: one table. `docs/reference/metrics.md` is generated from it.

Knows names, kinds, labels and help. Refuses to know when anything is counted. No label holds the name of a claim.
"""

from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "API_SECONDS",
    "BUCKETS",
    "CALL_SECONDS",
    "CLAIMS",
    "EVENTS",
    "FINDINGS",
    "GENERATION",
    "METRICS",
    "PUBLISHED",
    "QUARANTINED",
    "REGISTERED",
    "STATIC_LAYOUT",
    "SWITCH_SECONDS",
    "WITHHELD",
    "Kind",
    "Metric",
]

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the buckets of every histogram, in seconds."""


class Kind(StrEnum):
    """What a metric is, in the words of the exposition format."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A row of the table; `labels` are names, in the order in which their values are given."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str


PUBLISHED = Metric(
    name="amdgpu_dra_devices_published",
    kind=Kind.GAUGE,
    labels=("type", "mode"),
    help="devices that should be in this node's slices, by their attribute type and their compute mode",
)
WITHHELD = Metric(
    name="amdgpu_dra_devices_withheld",
    kind=Kind.GAUGE,
    labels=("reason",),
    help="GPUs and partitions that are left out of the slices, by reason",
)
GENERATION = Metric(
    name="amdgpu_dra_slice_generation",
    kind=Kind.GAUGE,
    labels=("state",),
    help="generation of the node's pool: wanted, and accepted by the API server; none before there is one",
)
CALL_SECONDS = Metric(
    name="amdgpu_dra_claim_seconds",
    kind=Kind.HISTOGRAM,
    labels=("method", "result"),
    help="seconds of Prepare and Unprepare calls of the kubelet, once for each claim of a call; result: ok, error or "
    "given-up, when the kubelet waited no longer",
)
API_SECONDS = Metric(
    name="amdgpu_dra_api_request_seconds",
    kind=Kind.HISTOGRAM,
    labels=("verb", "code"),
    help="seconds of requests to the API server, by HTTP verb and status; code 0: no answer",
)
STATIC_LAYOUT = Metric(
    name="amdgpu_dra_static_layout",
    kind=Kind.GAUGE,
    labels=("reason",),
    help="1 while only the partitions of now are published though more were asked for, by reason",
)

CLAIMS = Metric(
    name="amdgpu_dra_claims",
    kind=Kind.GAUGE,
    labels=("state",),
    help="claims that have a record, by state: Preparing and Unpreparing wait for the kubelet to try again",
)
QUARANTINED = Metric(
    name="amdgpu_dra_claims_quarantined",
    kind=Kind.GAUGE,
    labels=(),
    help="prepared claims of which a device is gone or exchanged: their CDI documents are withdrawn",
)
FINDINGS = Metric(
    name="amdgpu_dra_claim_findings_total",
    kind=Kind.COUNTER,
    labels=("reason",),
    help="what verifying claims has found and, where it could, repaired, by reason; a quarantine counts when it begins",
)
REGISTERED = Metric(
    name="amdgpu_dra_registered",
    kind=Kind.GAUGE,
    labels=(),
    help="1 if the kubelet has taken the plugin, 0 if it has refused it or has not spoken yet",
)
SWITCH_SECONDS = Metric(
    name="amdgpu_dra_mode_switch_seconds",
    kind=Kind.HISTOGRAM,
    labels=("mode", "result"),
    help="seconds of switches of a GPU's compute mode, by the mode that was wanted; result: ok, busy (tried again) or "
    "failed",
)
EVENTS = Metric(
    name="amdgpu_dra_events_total",
    kind=Kind.COUNTER,
    labels=("reason", "result"),
    help="Events by reason; result: posted, failed, or dropped because there were too many",
)
METRICS = (
    PUBLISHED,
    WITHHELD,
    GENERATION,
    CALL_SECONDS,
    API_SECONDS,
    STATIC_LAYOUT,
    CLAIMS,
    QUARANTINED,
    FINDINGS,
    SWITCH_SECONDS,
    EVENTS,
    REGISTERED,
)
"""All of them; whoever adds one adds it here."""

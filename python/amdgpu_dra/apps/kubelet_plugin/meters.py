"""What is counted, where. Nothing of it is at work unless metrics are served."""

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping

from amdgpu_dra.agent.claims import Answer, ClaimManager, Verifier
from amdgpu_dra.agent.ports import Metrics
from amdgpu_dra.agent.publish import Publisher
from amdgpu_dra.api.checkpoint import State
from amdgpu_dra.api.metrics import (
    API_SECONDS,
    CALL_SECONDS,
    CLAIMS,
    GENERATION,
    PUBLISHED,
    QUARANTINED,
    REGISTERED,
    STATIC_LAYOUT,
    SWITCH_SECONDS,
    WITHHELD,
)
from amdgpu_dra.api.resource import Device
from amdgpu_dra.core.devices import Listing
from amdgpu_dra.edge.kubelet import KubeletServer

type Calls = Callable[[Iterable[tuple[str, str, str]]], Awaitable[Mapping[str, Answer]]]


def timed(metrics: Metrics | None, method: str, call: Calls) -> Calls:
    """The call, counted once for each of its claims; the call itself if nothing is counted."""
    if metrics is None:
        return call

    async def counted(ids: Iterable[tuple[str, str, str]]) -> Mapping[str, Answer]:
        start, asked = time.perf_counter(), list(ids)
        # A kubelet that waits no longer cancels the call.
        results = ["given-up"] * len(asked)
        try:
            answers = await call(asked)
            results = ["error" if answer.error else "ok" for answer in answers.values()]
        finally:
            for result in results:
                metrics.observe(CALL_SECONDS, time.perf_counter() - start, method, result)
        return answers

    return counted


def count_requests(metrics: Metrics) -> Callable[[str, int, float], None]:
    """What a connection tells each request to: verb, status and seconds."""

    def note(verb: str, code: int, seconds: float) -> None:
        metrics.observe(API_SECONDS, seconds, verb, str(code))

    return note


def count_switches(metrics: Metrics) -> Callable[[str, str, float], None]:
    """What a switcher tells each switch to: mode, result and seconds."""

    def note(mode: str, result: str, seconds: float) -> None:
        metrics.observe(SWITCH_SECONDS, seconds, mode, result)

    return note


def put_state(metrics: Metrics, claims: ClaimManager, verifier: Verifier, kubelet: KubeletServer) -> None:
    """The claims that are held, by state, how many of them are quarantined, and whether the kubelet has the plugin."""
    states = dict.fromkeys((State.PREPARING, State.READY, State.UNPREPARING), 0)
    states |= Counter(record.state for record in claims.records)
    metrics.put(CLAIMS, {(state,): count for state, count in states.items()})
    metrics.put(QUARANTINED, {(): verifier.quarantined})
    metrics.put(REGISTERED, {(): int(kubelet.registration.registered is True)})


def put_generations(metrics: Metrics, publisher: Publisher) -> None:
    """The pool's generations, as far as they are known."""
    known = {("wanted",): publisher.wanted, ("accepted",): publisher.generation}
    metrics.put(GENERATION, {labels: value for labels, value in known.items() if value is not None})


def put_offer(metrics: Metrics, devices: Iterable[Device], listing: Listing, static: str) -> None:
    """What is offered of the node, what is withheld, and why the layout is `static` (empty if it is as asked)."""
    counts = Counter((_text(device, "type"), _text(device, "computePartition")) for device in devices)
    metrics.put(PUBLISHED, {labels: count for labels, count in counts.items()})  # noqa: C416 - typed wider
    metrics.put(WITHHELD, dict(Counter((str(item.reason),) for item in listing.withheld)))
    metrics.put(STATIC_LAYOUT, {(static,): 1} if static else {})


def _text(device: Device, name: str) -> str:
    """An attribute of ours as a label; empty if the device has none."""
    found = [value for key, value in device.attributes.items() if key.rpartition("/")[2] == name]
    return str(found[0]) if found else ""

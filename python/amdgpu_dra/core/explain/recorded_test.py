"""The recorded questions to Kubernetes' own allocator, explained."""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from amdgpu_dra.core.allocate import (
    AllocatedState,
    DeviceId,
    Features,
    decode_claim,
    decode_class,
    decode_node,
    decode_slice,
)
from amdgpu_dra.core.allocate.features import choose_variant
from amdgpu_dra.core.explain import MOST_LINES, Cluster, Explanation, Question, Verdict, explain, render_text
from amdgpu_dra.testing.shared import shared_folder


def _cases() -> Iterator[dict[str, Any]]:
    """Those of one claim, on a cluster whose allocator is not chosen by hand and that shares no device."""
    with gzip.open(shared_folder("conformance") / "allocator-cases-v0.37.2.jsonl.gz", "rt") as file:
        for case in map(json.loads, file):
            usual = choose_variant(_features(case)).name == case["channel"]
            shares = case.get("sharedDeviceIDs") or case.get("aggregatedCapacity")
            if usual and not shares and len(case.get("claims") or ()) == 1:
                yield case


def _features(case: dict[str, Any]) -> Features:
    return Features.named(case["features"]) if case.get("features") else Features.all_on()


def _explain(case: dict[str, Any]) -> Explanation:
    cluster = Cluster(
        features=_features(case),
        slices=tuple(decode_slice(item) for item in case.get("slices") or ()),
        classes=tuple(decode_class(item) for item in case.get("classes") or ()),
        nodes=(decode_node(case["node"]),),
        state=AllocatedState(devices=frozenset(DeviceId(*ref) for ref in case.get("allocatedDevices") or ())),
    )
    return explain(Question(cluster=cluster, claim=decode_claim(case["claims"][0])))


def _expected(case: dict[str, Any]) -> set[Verdict]:
    """An error that is of the node alone refuses that node."""
    if case["expect"].get("error"):
        return {Verdict.REFUSED, Verdict.ERROR}
    return {Verdict.FITS} if case["expect"].get("results") is not None else {Verdict.REFUSED}


def test_the_verdict_is_kubernetes_own() -> None:
    """Each question has Kubernetes' verdict, and one that is not served has rows and few lines."""
    verdicts: Counter[Verdict] = Counter()
    for case in _cases():
        found = _explain(case)
        assert found.verdict in _expected(case), case["name"]
        assert bool(found.rows) == (found.verdict is not Verdict.FITS), case["name"]
        assert len(render_text(found)) <= MOST_LINES
        verdicts[found.verdict] += 1

    assert all(verdicts[verdict] > 10 for verdict in (Verdict.FITS, Verdict.REFUSED, Verdict.ERROR)), verdicts

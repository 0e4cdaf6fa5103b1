"""What holds of every explanation: nothing is lost, nothing is long, and the order of the input is of no weight."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amdgpu_dra.core.allocate import (
    Allocated,
    AllocatedState,
    Allocator,
    DeviceId,
    Failed,
    Features,
    Inventory,
    Reason,
    Refusal,
    StepLimit,
    decode_claim,
    decode_class,
    decode_node,
    decode_slice,
    refusals,
)
from amdgpu_dra.core.explain import (
    MOST_LINES,
    WORDS,
    Cause,
    Cluster,
    Question,
    Verdict,
    aggregate,
    explain,
    render_json,
    render_text,
)
from amdgpu_dra.testing.strategies import allocation_cases

_SLOW = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
_FAULTS = "CEL compile error: compilation failed: ERROR: <input>:2:3: bad\n | x\n | ..^\nERROR: <input>:3:1: worse"
_OF_NODES = {Cause.NO_DEVICES.value, Cause.NO_SLICES.value}


def _question(case: dict[str, Any], *, steps: int = 20_000) -> Question:
    """The first claim of a case, on both of its nodes."""
    names = {item["spec"]["nodeName"] for item in case["slices"]}
    cluster = Cluster(
        features=Features.named(case["features"]),
        slices=tuple(decode_slice(item) for item in case["slices"]),
        classes=tuple(decode_class(item) for item in case["classes"]),
        nodes=tuple(decode_node({"metadata": {"name": name}}) for name in names),
        state=AllocatedState(
            devices=frozenset(DeviceId(*ref) for ref in case["allocatedDevices"]),
            shared=frozenset(DeviceId(*row["id"]) for row in case["sharedDeviceIDs"]),
        ),
    )
    return Question(cluster=cluster, claim=decode_claim(case["claims"][0]), most_steps=steps)


def _allocator(question: Question) -> Allocator:
    cluster = question.cluster
    slices = sorted(cluster.slices, key=lambda item: item.name)
    return Allocator(cluster.features, cluster.state, cluster.classes, Inventory(slices))


@_SLOW
@given(allocation_cases(), st.data())
def test_the_order_of_the_input_is_of_no_weight(case: dict[str, Any], data: st.DataObject) -> None:
    """The same objects in another order give the same text and the same data."""
    found = explain(_question(case))
    again = explain(_question(case | {"slices": data.draw(st.permutations(case["slices"]))}))

    assert render_text(again) == render_text(found)
    assert render_json(again) == render_json(found)
    assert len(render_text(found)) <= MOST_LINES


@_SLOW
@given(allocation_cases(), st.randoms(use_true_random=False))
def test_every_refusal_is_counted_once(case: dict[str, Any], random: Any) -> None:
    """The counts of all causes sum up to the refusals, in whatever order these come."""
    question = _question(case)
    allocator = _allocator(question)
    rows = [row for node in question.cluster.nodes for row in refusals(allocator, node, question.claim)]
    groups = aggregate(rows)

    assert sum(group.count for group in groups) == len(rows)
    assert [group.count for group in groups] == sorted((group.count for group in groups), reverse=True)
    assert all(len(group.devices) <= group.count and group.nodes <= group.count for group in groups)
    random.shuffle(rows)
    assert aggregate(rows) == groups


@_SLOW
@given(allocation_cases())
def test_the_verdict_is_the_allocators(case: dict[str, Any]) -> None:
    """It fits where the allocator says so, and what does not fit has a row for every refusal."""
    question = _question(case)
    allocator = _allocator(question)
    outcomes = [allocator.allocate(node, [question.claim]) for node in question.cluster.nodes]
    found = explain(question)

    assert found.fitting == sum(isinstance(item, Allocated) for item in outcomes)
    assert found.failing == sum(isinstance(item, Failed) and not item.node_local for item in outcomes)
    if found.verdict is Verdict.FITS:
        assert not found.rows
        return
    shown = sum(len(refusals(allocator, node, question.claim)) for node in question.cluster.nodes)
    counted = sum(row.count for row in found.rows if row.cause.value not in _OF_NODES)
    assert shown <= counted <= shown + found.failing
    assert found.rows


def test_a_search_that_is_ended_is_a_third_answer() -> None:
    """Neither fits nor refused, and the lines say how to raise the limit."""
    device = {"attributes": {"a": {"int": 1}, "b": {"int": 1}}}
    devices = [{"name": f"d{i}", **device, "attributes": {"a": {"int": i % 2}}} for i in range(16)]
    pool = {"name": "node", "generation": 1, "resourceSliceCount": 1}
    item = {
        "metadata": {"name": "s"},
        "spec": {"driver": "gpu.amd.com", "nodeName": "node", "pool": pool, "devices": devices},
    }
    exact = {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 9}
    constraint = {"matchAttribute": "gpu.amd.com/a"}
    claim = {
        "metadata": {"name": "c"},
        "spec": {"devices": {"requests": [{"name": "r", "exactly": exact}], "constraints": [constraint]}},
    }
    case = {
        "features": {"ConsumableCapacity": True, "DeviceBindingAndStatus": True},
        "slices": [item],
        "classes": [{"metadata": {"name": "gpu"}}],
        "claims": [claim],
        "allocatedDevices": [],
        "sharedDeviceIDs": [],
    }
    found = explain(_question(case, steps=3))

    assert isinstance(_ended(case), StepLimit)
    assert (found.verdict, found.unsure) == (Verdict.UNKNOWN, 1)
    assert "--step-limit" in render_text(found)[0]
    assert [row.cause for row in found.rows] == [Cause.MATCH]


def _ended(case: dict[str, Any]) -> object:
    question = _question(case)
    cluster = question.cluster
    allocator = Allocator(cluster.features, cluster.state, cluster.classes, Inventory(cluster.slices), most_steps=3)
    return allocator.allocate(cluster.nodes[0], [question.claim])


def test_every_cause_has_its_words() -> None:
    """The table has a line for each cause, and each reason of the allocator is a cause."""
    assert list(WORDS) == list(Cause)
    assert {reason.value for reason in Reason} <= {cause.value for cause in Cause}


@pytest.mark.parametrize(
    ("text", "cause", "subject", "detail"),
    [
        (
            f"claim a/b: selector #0: {_FAULTS}",
            Cause.COMPILE_ERROR,
            "claim a/b: selector #0",
            "line 2, column 3: bad (and 1 more)",
        ),
        (
            "class c: selector #1 on device d/p/x: CEL runtime error: no such key: k",
            Cause.MISSING_KEY,
            "class c: selector #1",
            "k",
        ),
        ("class c: selector #1: CEL runtime error: division by zero", Cause.RUNTIME_ERROR, "class c: selector #1", ""),
        (
            "claim a/b, request r: asks for all devices, but resource pool d/p is currently being updated",
            Cause.ALL_UNREADY,
            "claim a/b, request r",
            "being updated",
        ),
        ("allocation max size exceeded", Cause.TOO_MANY, "", "allocation max size exceeded"),
        ("something\nelse", Cause.ERROR, "", "something else"),
    ],
)
def test_errors_are_told_apart(text: str, cause: Cause, subject: str, detail: str) -> None:
    """What an error is about does not depend on the device or pool that met it first."""
    row = Refusal(node="n", request="", device=None, reason=Reason.ERROR, detail=text)
    (group,) = aggregate([row])

    assert (group.cause, group.subject) == (cause, subject)
    assert group.detail == (detail or "division by zero")

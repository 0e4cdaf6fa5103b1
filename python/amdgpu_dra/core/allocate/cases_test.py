from typing import Any

import pytest

from amdgpu_dra.core.allocate import (
    Allocated,
    AllocatedState,
    Allocator,
    DecodeError,
    DeviceId,
    Failed,
    Features,
    Inventory,
    Outcome,
    Reason,
    StepLimit,
    Unsatisfiable,
    decode_claim,
    decode_class,
    decode_node,
    decode_slice,
    refusals,
)

_D = "gpu.amd.com"


def _device(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "attributes": {"type": {"string": "cpx"}}, **more}


def _slice(devices: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    pool = {"name": "node", "generation": 1, "resourceSliceCount": 1}
    return {
        "metadata": {"name": "slice"},
        "spec": {"driver": _D, "nodeName": "node", "pool": pool, "devices": devices, **more},
    }


def _claim(name: str = "claim", count: int = 1, **more: Any) -> dict[str, Any]:
    exact = {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": count, **more}
    devices = {"requests": [{"name": "req", "exactly": exact}]}
    return {"metadata": {"name": name, "namespace": "ns"}, "spec": {"devices": devices}}


def _allocator(slices: list[dict[str, Any]], state: AllocatedState = AllocatedState(), **more: Any) -> Allocator:  # noqa: B008
    of_class = decode_class({"metadata": {"name": "gpu"}, "spec": {}})
    return Allocator(Features(), state, [of_class], Inventory(map(decode_slice, slices)), **more)


_NODE = decode_node({"metadata": {"name": "node"}})


def _ask(allocator: Allocator, *claims: dict[str, Any]) -> Outcome:
    return allocator.allocate(_NODE, [decode_claim(claim) for claim in claims])


def test_no_explosion() -> None:
    """One device more than is free is refused at once, where the whole search would take 2^24 steps."""
    allocator = _allocator([_slice([_device(f"d-{i}") for i in range(24)])])
    outcome = _ask(allocator, _claim(count=25))
    assert isinstance(outcome, Unsatisfiable)
    assert outcome.steps < 100


def test_step_limit() -> None:
    """The limit is a result of its own, never `none`."""
    allocator = _allocator([_slice([_device(f"d-{i}") for i in range(24)])], most_steps=1000, pruned=False)
    assert _ask(allocator, _claim(count=25)) == StepLimit(steps=1000)


def test_many_claims() -> None:
    """Thousands of claims are no deeper than Python's stack."""
    allocator = _allocator([_slice([_device("d", allowMultipleAllocations=True)])])
    outcome = _ask(allocator, *[_claim(f"claim-{i}") for i in range(3000)])
    assert isinstance(outcome, Allocated)
    assert len(outcome.results) == 3000


def test_state_of_claims() -> None:
    """Devices in the status of claims are held: whole, in shares, or not at all by admin access."""
    rows = [
        {"driver": _D, "pool": "node", "device": "a"},
        {"driver": _D, "pool": "node", "device": "b", "adminAccess": True},
        {"driver": _D, "pool": "node", "device": "c", "shareID": "1", "consumedCapacity": {"memory": "1Gi"}},
        {"driver": _D, "pool": "node", "device": "c", "shareID": "2", "consumedCapacity": {"memory": "2Gi"}},
    ]
    claim = {"metadata": {"name": "x", "namespace": "ns"}, "status": {"allocation": {"devices": {"results": rows}}}}
    state = AllocatedState.of_claims([claim, {"metadata": {"name": "pending"}}])
    assert state.devices == {DeviceId(_D, "node", "a")}
    assert state.shared == {DeviceId(_D, "node", "c")}
    assert state.capacity == {DeviceId(_D, "node", "c"): {"memory": 3 * 2**30 * 10**9}}
    assert state.holders[DeviceId(_D, "node", "a")] == ("ns/x",)


def test_decode_error() -> None:
    """A field of the wrong kind is named with its path."""
    with pytest.raises(DecodeError, match=r"slice\.spec\.devices\[1\]\.name: expected a string, found 7"):
        decode_slice(_slice([_device("a"), _device("b") | {"name": 7}]))


def _only_reason(rows: Any) -> Any:
    assert len(rows) == 1
    return rows[0]


def test_reason_taint() -> None:
    """A taint that is not tolerated is named."""
    taint = {"key": "sick", "value": "ecc", "effect": "NoSchedule"}
    allocator = _allocator([_slice([_device("d", taints=[taint])])])
    row = _only_reason(refusals(allocator, _NODE, decode_claim(_claim())))
    assert (row.reason, row.subject) == (Reason.TAINT, "sick=ecc:NoSchedule")


def test_reason_selector() -> None:
    """A selector that is false is named with its place and expression."""
    expression = f'device.attributes["{_D}"].type == "spx"'
    claim = decode_claim(_claim(selectors=[{"cel": {"expression": expression}}]))
    row = _only_reason(refusals(_allocator([_slice([_device("d")])]), _NODE, claim))
    assert (row.reason, row.index, row.detail) == (Reason.REQUEST_SELECTOR, 0, expression)


def test_reason_counter() -> None:
    """A counter that does not suffice is named with what is needed and left, and with the claim that has it."""
    takes = [{"counterSet": "gpu-0", "counters": {"parts": {"value": "8"}}}]
    devices = _slice([_device("a", consumesCounters=takes), _device("b", consumesCounters=takes)])
    counters = _slice([], sharedCounters=[{"name": "gpu-0", "counters": {"parts": {"value": "8"}}}])
    counters["metadata"]["name"] = "counters"
    for item in (devices, counters):
        item["spec"]["pool"]["resourceSliceCount"] = 2
    held = {"driver": _D, "pool": "node", "device": "a"}
    holder = {"metadata": {"name": "x", "namespace": "ns"}, "status": {"allocation": {"devices": {"results": [held]}}}}
    allocator = _allocator([devices, counters], AllocatedState.of_claims([holder]))
    first, second = refusals(allocator, _NODE, decode_claim(_claim()))
    assert (first.reason, first.holders) == (Reason.ALLOCATED, ("ns/x",))
    assert (second.reason, second.subject, second.needed, second.available, second.holders) == (
        Reason.COUNTER,
        "gpu-0/parts",
        "8",
        "0",
        ("ns/x",),
    )


def test_reason_too_few() -> None:
    """Devices that nothing refuses are too few."""
    rows = refusals(_allocator([_slice([_device("a"), _device("b")])]), _NODE, decode_claim(_claim(count=3)))
    assert {(row.reason, row.needed, row.available) for row in rows} == {(Reason.TOO_FEW, "3", "2")}


def test_reason_match() -> None:
    """Too few devices share the value that a constraint wants shared."""
    devices = [_device(f"d-{i}", attributes={"gpu": {"int": i // 2}}) for i in range(4)]
    claim = _claim(count=3)
    claim["spec"]["devices"]["constraints"] = [{"matchAttribute": f"{_D}/gpu"}]
    rows = refusals(_allocator([_slice(devices)]), _NODE, decode_claim(claim))
    assert {(row.reason, row.needed, row.available) for row in rows} == {(Reason.MATCH, "3", "2")}


def test_reason_earlier_claim() -> None:
    """What an earlier claim of the pod takes is not there for the next."""
    allocator, claim = _allocator([_slice([_device("d")])]), decode_claim(_claim())
    row = _only_reason(refusals(allocator, _NODE, claim, [decode_claim(_claim("first"))]))
    assert (row.reason, row.holders) == (Reason.EARLIER_CLAIM, ("ns/first",))


def test_unknown_class() -> None:
    """A class that is not there ends the attempt with upstream's text."""
    outcome = _ask(_allocator([]), _claim() | _claim(deviceClassName="none"))
    assert outcome == Failed(
        text='claim ns/claim, request req: could not retrieve device class none:  "none" not found',
        node_local=False,
        steps=0,
    )


def test_toleration_without_key() -> None:
    """A toleration's empty fields are left out of the result, as Go leaves them out."""
    outcome = _ask(_allocator([_slice([_device("d")])]), _claim(tolerations=[{"operator": "Exists", "key": ""}]))
    assert isinstance(outcome, Allocated)
    devices: Any = outcome.results[0]["devices"]
    assert devices["results"][0]["tolerations"] == [{"operator": "Exists"}]

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amdgpu_dra.core.allocate import (
    Allocated,
    AllocatedState,
    Allocator,
    Failed,
    Features,
    Inventory,
    Reason,
    StepLimit,
    Unsatisfiable,
    decode_claim,
    decode_class,
    decode_node,
    decode_slice,
    refusals,
    solve_case,
)
from amdgpu_dra.core.cel import CelOptions, bind_device, compile_selector
from amdgpu_dra.testing.strategies import allocation_cases

_SLOW = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def _published(case: Mapping[str, Any]) -> dict[tuple[str, str, str], dict[str, Any]]:
    return {
        (item["spec"]["driver"], item["spec"]["pool"]["name"], device["name"]): device
        for item in case["slices"]
        for device in item["spec"].get("devices", [])
    }


def _results(outcome: Allocated) -> Iterator[tuple[int, dict[str, Any]]]:
    for index, result in enumerate(outcome.results):
        devices: Any = result["devices"]
        for item in devices.get("results", []):
            yield index, item


def _request(claim: Mapping[str, Any], name: str) -> dict[str, Any]:
    base, _, sub = name.partition("/")
    request = next(item for item in claim["spec"]["devices"]["requests"] if item["name"] == base)
    found: dict[str, Any] = (
        next(item for item in request["firstAvailable"] if item["name"] == sub) if sub else request["exactly"]
    )
    return found


def _key(item: Mapping[str, Any]) -> tuple[str, str, str]:
    return item["driver"], item["pool"], item["device"]


@_SLOW
@given(allocation_cases())
def test_selectors_hold(case: dict[str, Any]) -> None:
    """Every allocated device satisfies every selector of its class and request."""
    outcome, published = solve_case(case), _published(case)
    if isinstance(outcome, Allocated):
        for index, item in _results(outcome):
            selectors = case["classes"][0]["spec"]["selectors"]
            selectors = selectors + _request(case["claims"][index], item["request"]).get("selectors", [])
            for row in selectors:
                program = compile_selector(row["cel"]["expression"], CelOptions())
                assert program.matches(bind_device(item["driver"], published[_key(item)]))


@_SLOW
@given(allocation_cases())
def test_constraints_hold(case: dict[str, Any]) -> None:
    """The devices that a constraint covers share its attribute, or differ in it."""
    outcome, published = solve_case(case), _published(case)
    if not isinstance(outcome, Allocated):
        return
    rows = list(_results(outcome))
    for index, claim in enumerate(case["claims"]):
        for rule in claim["spec"]["devices"].get("constraints", []):
            wanted = rule.get("requests", [])
            covered = [
                item for i, item in rows if i == index and (not wanted or item["request"].partition("/")[0] in wanted)
            ]
            name = rule.get("matchAttribute") or rule["distinctAttribute"]
            values = [str(_attribute(published[_key(item)], item["driver"], name)) for item in covered]
            assert "None" not in values
            assert len(set(values)) == (min(1, len(values)) if "matchAttribute" in rule else len(values))


def _attribute(device: Mapping[str, Any], driver: str, name: str) -> object:
    attributes = device.get("attributes", {})
    domain, _, bare = name.partition("/")
    return attributes.get(name) or (attributes.get(bare) if domain == driver else None)


@_SLOW
@given(allocation_cases())
def test_counters_hold(case: dict[str, Any]) -> None:
    """What is held and allocated together never takes more of a counter than there is."""
    outcome, published = solve_case(case), _published(case)
    if not isinstance(outcome, Allocated):
        return
    # A node that already holds too much is refused; devices of other nodes have counters of their own.
    sizes = {
        (item["spec"]["pool"]["name"], row["name"], name): int(value["value"])
        for item in case["slices"]
        for row in item["spec"].get("sharedCounters", [])
        for name, value in row["counters"].items()
    }
    fresh = {_key(item) for _, item in _results(outcome)}
    held = {tuple(ref) for ref in case["allocatedDevices"]} | {tuple(row["id"]) for row in case["sharedDeviceIDs"]}
    used: Counter[tuple[str, str, str]] = Counter()
    for key in held | fresh:
        for row in published[key].get("consumesCounters", []):
            for name, value in row["counters"].items():
                used[key[1], row["counterSet"], name] += int(value["value"])
    touched = {
        (key[1], row["counterSet"], name)
        for key in fresh - held
        for row in published[key].get("consumesCounters", [])
        for name in row["counters"]
    }
    assert all(used[counter] <= sizes[counter] for counter in touched)


@_SLOW
@given(allocation_cases(), st.randoms(use_true_random=False))
def test_order_of_slices_is_of_no_weight(case: dict[str, Any], random: Any) -> None:
    """The answer does not depend on the order in which slices are given."""
    other = list(case["slices"])
    random.shuffle(other)
    one, two = solve_case(case), solve_case(case | {"slices": other})
    assert type(one) is type(two)
    if isinstance(one, Allocated) and isinstance(two, Allocated):
        assert one.results == two.results


@_SLOW
@given(allocation_cases())
def test_pruning_changes_no_answer(case: dict[str, Any]) -> None:
    """Counting ahead gives the answer of the whole search, errors included, in no more steps."""
    whole, pruned = solve_case(case, pruned=False), solve_case(case)
    if not isinstance(whole, StepLimit):
        assert type(whole) is type(pruned)
        assert pruned.steps <= whole.steps
        if isinstance(whole, Allocated) and isinstance(pruned, Allocated):
            assert whole.results == pruned.results
        if isinstance(whole, Failed) and isinstance(pruned, Failed):
            assert whole.text == pruned.text


@_SLOW
@given(allocation_cases())
def test_none_means_none(case: dict[str, Any]) -> None:
    """Where no device is found for one plain request, no combination of free devices would do."""
    only: dict[str, Any] = {"name": "req-0", "exactly": _plain(case)}
    claim = {"metadata": {"name": "claim"}, "spec": {"devices": {"requests": [only]}}}
    outcome = solve_case(case | {"claims": [claim]})
    if isinstance(outcome, Unsatisfiable) and all(
        s["spec"]["pool"]["resourceSliceCount"] == _size(case, s) for s in case["slices"]
    ):
        count = only["exactly"]["count"]
        assert not any(_fits(case, chosen) for chosen in combinations(_usable(case), count))


def _plain(case: Mapping[str, Any]) -> dict[str, Any]:
    first = case["claims"][0]["spec"]["devices"]["requests"][0]
    wish = first.get("exactly") or first["firstAvailable"][0]
    return {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": wish.get("count", 2)}


def _size(case: Mapping[str, Any], item: Mapping[str, Any]) -> int:
    return sum(row["spec"]["pool"]["name"] == item["spec"]["pool"]["name"] for row in case["slices"])


def _usable(case: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Devices of the node that are whole, free and without a taint that matters."""
    held = {tuple(ref) for ref in case["allocatedDevices"]}
    return [
        key
        for key, device in _published(case).items()
        if key[1] == case["node"]["metadata"]["name"]
        and key not in held
        and not device.get("allowMultipleAllocations")
        and not (case["features"]["DeviceTaints"] and any(t["effect"] != "None" for t in device.get("taints", [])))
        and (case["features"]["PartitionableDevices"] or not device.get("consumesCounters"))
    ]


def _fits(case: Mapping[str, Any], chosen: Iterable[tuple[str, str, str]]) -> bool:
    """Whether the counters of the node allow these devices beside those that are held."""
    published, node = _published(case), case["node"]["metadata"]["name"]
    held = [tuple(ref) for ref in case["allocatedDevices"]] + [tuple(row["id"]) for row in case["sharedDeviceIDs"]]
    used: Counter[str] = Counter()
    for key in [*(key for key in held if key[1] == node), *chosen]:
        for row in published[key].get("consumesCounters", []):
            used[row["counterSet"]] += int(row["counters"]["parts"]["value"])
    return all(amount <= 4 for amount in used.values())


@_SLOW
@given(allocation_cases())
def test_refusals_name_every_device(case: dict[str, Any]) -> None:
    """A claim that does not fit has one reason for each device of the node and request; one that fits has none."""
    allocator = Allocator(
        Features.named(case["features"]),
        AllocatedState(),
        [decode_class(item) for item in case["classes"]],
        Inventory([decode_slice(item) for item in case["slices"]]),
    )
    node, claim = decode_node(case["node"]), decode_claim(case["claims"][0])
    rows, outcome = refusals(allocator, node, claim), allocator.allocate(node, [claim])
    assert bool(rows) == (not isinstance(outcome, Allocated)) or not case["slices"]
    if rows and not any(row.reason in {Reason.ERROR, Reason.POOL_INCOMPLETE, Reason.POOL_INVALID} for row in rows):
        requests = {row.request for row in rows}
        devices = {row.device for row in rows}
        assert len(rows) == len(requests) * len(devices)

"""Objects of resource.k8s.io: what is encoded is decoded, and foreign input is judged."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.api.resource import (
    GROUP,
    VERSIONS,
    CounterConsumption,
    CounterSet,
    Device,
    ObjectRef,
    ResourceSlice,
    Taint,
    Version,
    decode_claim,
    decode_slice,
    encode_slice,
    from_v1,
    to_v1,
)

NAMES = st.text("abcdefgh-0123", min_size=1, max_size=12)
VALUES = st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.text(max_size=20), st.builds(Version, NAMES))
QUANTITIES = st.dictionaries(NAMES, st.integers(0, 2**60).map(Fraction), max_size=3)
TAINTS = st.builds(Taint, key=NAMES, value=NAMES, effect=st.sampled_from(["None", "NoSchedule", "NoExecute"]))
DEVICES = st.builds(
    Device,
    name=NAMES,
    attributes=st.dictionaries(NAMES, VALUES, max_size=4),
    capacity=QUANTITIES,
    consumes_counters=st.lists(st.builds(CounterConsumption, counter_set=NAMES, counters=QUANTITIES), max_size=2).map(
        tuple
    ),
    taints=st.lists(TAINTS, max_size=2).map(tuple),
    other=st.dictionaries(st.sampled_from(["bindsToNode", "allNodes"]), st.booleans()),
)
SLICES = st.builds(
    ResourceSlice,
    name=NAMES,
    driver=st.just("gpu.amd.com"),
    node_name=NAMES,
    pool=NAMES,
    generation=st.integers(0, 9),
    slice_count=st.integers(1, 9),
    devices=st.lists(DEVICES, max_size=3).map(tuple),
    shared_counters=st.lists(st.builds(CounterSet, name=NAMES, counters=QUANTITIES), max_size=2).map(tuple),
    owner_uid=NAMES,
    uid=NAMES,
    resource_version=NAMES,
)


def _slice_of(device: Device) -> ResourceSlice:
    return ResourceSlice(name="s", driver="d", node_name="n", pool="n", generation=1, slice_count=1, devices=(device,))


@pytest.mark.parametrize("version", VERSIONS)
@given(item=SLICES)
def test_slices_survive_the_way_through_json(version: str, item: ResourceSlice) -> None:
    """Decoding is the inverse of encoding in every version, with counters, taints and what others added.

    An object names its version; as an item of a list it does not.
    """
    raw = from_v1(encode_slice(item), version)

    assert decode_slice(to_v1(raw, version)) == item
    assert raw.pop("apiVersion") == f"{GROUP}/{version}"
    assert decode_slice(to_v1(raw, version)) == item


def test_what_others_added_to_a_device_shows() -> None:
    """A taint that somebody put on a device of ours makes it unequal to ours."""
    item = _slice_of(Device(name="gpu-0"))
    raw = encode_slice(item)
    raw["spec"]["devices"][0]["taints"] = [{"key": "k", "effect": "NoSchedule"}]

    assert decode_slice(raw).devices != item.devices


CLAIM = {
    "metadata": {"name": "c", "namespace": "ns", "uid": "u"},
    "status": {
        "allocation": {
            "devices": {
                "results": [
                    {"request": "r/sub", "driver": "gpu.amd.com", "pool": "n", "device": "gpu-0", "adminAccess": True}
                ],
                "config": [{"source": "FromClass", "opaque": {"driver": "gpu.amd.com", "parameters": {"kind": "x"}}}],
            }
        }
    },
}


def test_the_servers_clock_is_no_foreign_change() -> None:
    """The time at which a taint was added comes from the server; it makes no difference, and is kept."""
    ours = Taint(key="k", effect="NoSchedule")
    stored = Taint(key="k", effect="NoSchedule", time_added="2026-11-25T00:00:00Z")

    assert ours == stored
    raw = encode_slice(_slice_of(Device(name="gpu-0", taints=(stored,))))
    assert raw["spec"]["devices"][0]["taints"][0]["timeAdded"] == "2026-11-25T00:00:00Z"


def test_claim_is_read() -> None:
    """Results with their base request, configurations with where they stand."""
    claim = decode_claim(CLAIM)

    assert claim.results is not None
    assert (claim.results[0].base_request, claim.results[0].admin_access) == ("r", True)
    assert claim.configs[0].path == "status.allocation.devices.config[0].opaque.parameters"
    assert claim.configs[0].from_class


GOOD = {"request": "r", "driver": "gpu.amd.com", "pool": "n", "device": "gpu-0"}


def _claim(devices: object) -> dict[str, object]:
    return {"metadata": {}, "status": {"allocation": {"devices": devices}}}


@pytest.mark.parametrize(
    ("result", "fault"),
    [
        (1, "]: expected an object, found 1"),
        (None, "]: expected an object, found None"),
        ({**GOOD, "pool": None}, "].pool: expected a name of 1 to 253 characters, found None"),
        ({**GOOD, "device": ""}, "].device: expected a name"),
        ({**GOOD, "driver": ["gpu.amd.com"]}, "].driver: expected a name"),
        ({**GOOD, "request": 5}, "].request: expected a name"),
        ({**GOOD, "request": "r\nX=1"}, "].request: expected a name"),
        ({**GOOD, "request": "r/"}, "].request: expected name or name/subrequest, found 'r/'"),
        ({**GOOD, "request": "/s"}, "].request: expected name or name/subrequest"),
        ({**GOOD, "adminAccess": "true"}, "].adminAccess: expected true or false, found 'true'"),
        ({**GOOD, "shareID": 7}, "].shareID: expected a text, found 7"),
        ({**GOOD, "shareID": ""}, "].shareID: expected a text"),
        ({**GOOD, "device": "x" * 10_000_000}, "].device: expected a name of 1 to 253 characters, found 'xxx"),
    ],
    ids=str,
)
def test_malformed_results_say_where(result: object, fault: str) -> None:
    """Whatever is wrong of a result is an error with the path of the fault, and of a length that fits a message."""
    with pytest.raises(ValueError, match="results") as caught:
        decode_claim(_claim({"results": [GOOD, result]}))

    assert str(caught.value).startswith(f"status.allocation.devices.results[1{fault}")
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("devices", "fault"),
    [
        ("x", "status.allocation.devices: expected an object, found 'x'"),
        ({"results": {"a": 1}}, "status.allocation.devices.results: expected a list, found {'a': 1}"),
        ({"results": [], "config": 3}, "status.allocation.devices.config: expected a list, found 3"),
        ({"config": ["x"]}, "status.allocation.devices.config[0]: expected an object, found 'x'"),
        ({"config": [{"opaque": []}]}, "status.allocation.devices.config[0].opaque: expected an object, found []"),
        ({"config": [{"opaque": {"driver": 1}}]}, "status.allocation.devices.config[0].opaque.driver: expected a text"),
        ({"config": [{"requests": "gpu"}]}, "status.allocation.devices.config[0].requests: expected a list"),
        ({"config": [{"requests": ["gpu", {}]}]}, "status.allocation.devices.config[0].requests[1]: expected a text"),
    ],
    ids=str,
)
def test_malformed_allocations_say_where(devices: object, fault: str) -> None:
    """What is no list, no object or no text where the API has one is an error with its path."""
    with pytest.raises(ValueError, match="expected") as caught:
        decode_claim(_claim(devices))

    assert str(caught.value).startswith(fault)


def test_every_fault_of_an_allocation_is_told() -> None:
    """Two results and a configuration that are wrong are three faults of one error."""
    with pytest.raises(ValueError, match="expected") as caught:
        decode_claim(_claim({"results": [{**GOOD, "pool": 1}, {**GOOD, "device": 2}], "config": [4]}))

    assert str(caught.value).count("; ") == 2


@pytest.mark.parametrize("raw", [None, [], "x", {"metadata": 1}, {"status": []}, {"status": {"allocation": "x"}}])
def test_what_is_no_claim_is_one_clear_error(raw: object) -> None:
    """An answer of another shape never ends in another error than this one."""
    with pytest.raises(ValueError, match="expected an object, found"):
        decode_claim(raw)


def test_nulls_are_what_is_left_out() -> None:
    """The server leaves empty fields out; where others write null it means the same."""
    allocation = {"devices": {"results": [{**GOOD, "adminAccess": None, "shareID": None}], "config": None}}
    claim = decode_claim({"metadata": None, "status": {"allocation": allocation, "reservedFor": None}})

    assert claim.results is not None
    assert (claim.results[0].admin_access, claim.results[0].share_id, claim.configs) == (False, None, ())
    assert decode_claim({"status": {"allocation": {"devices": None}}}).results == ()
    assert decode_claim({"status": None}).results is None


def test_fields_of_later_versions_are_passed_over() -> None:
    """Consumed capacity, tolerations, binding conditions and what nobody has thought of yet change nothing."""
    more: dict[str, object] = {
        "consumedCapacity": {"memory": "1Gi"},
        "tolerations": [1],
        "bindingConditions": None,
        "new": {"x": []},
    }
    allocation = {"results": [{**GOOD, **more, "shareID": "s"}], "config": [{"newKind": {}}], "new": 1}
    claim = decode_claim(_claim(allocation))

    assert claim.results is not None
    assert (claim.results[0].device, claim.results[0].share_id) == ("gpu-0", "s")
    assert claim.configs[0].driver == ""


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, "opaque", "x"]), inner),
    max_leaves=8,
)


@given(JSON, JSON, JSON)
def test_any_json_is_a_claim_or_a_clear_error(results: object, config: object, reserved: object) -> None:
    """Whatever stands in an allocation: what is decoded is of the right types, and nothing else is ever raised."""
    status = {"allocation": {"devices": {"results": results, "config": config}}, "reservedFor": reserved}
    try:
        claim = decode_claim({"metadata": {"namespace": "ns"}, "status": status})
    except ValueError as error:
        fault = str(error)
        assert fault.startswith("status.allocation")
        return
    for result in claim.results or ():
        assert all(type(text) is str and text for text in (result.request, result.pool, result.device))
        assert result.base_request


def test_pods_that_have_a_claim_are_named() -> None:
    """Pods, and no other consumer; they are of the claim's namespace."""
    pod, other = {"resource": "pods", "name": "p", "uid": "1"}, {"resource": "jobs", "name": "j", "uid": "2"}
    grouped = {"apiGroup": "x.io", "resource": "pods", "name": "q", "uid": "3"}
    claim = decode_claim({"metadata": {"namespace": "ns"}, "status": {"reservedFor": [pod, other, grouped, 5]}})

    assert claim.reserved
    assert claim.pods == (ObjectRef(kind="Pod", namespace="ns", name="p", uid="1"),)

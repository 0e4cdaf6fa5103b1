"""Objects of resource.k8s.io: what is encoded is decoded, and foreign input is judged."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.api.resource import (
    CounterConsumption,
    CounterSet,
    Device,
    ResourceSlice,
    Taint,
    Version,
    decode_claim,
    decode_slice,
    encode_slice,
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


@given(SLICES)
def test_slices_survive_the_way_through_json(item: ResourceSlice) -> None:
    """Decoding is the inverse of encoding."""
    assert item == decode_slice(encode_slice(item))


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


@pytest.mark.parametrize(
    ("results", "path"),
    [
        ([1], r"results\[0\]"),
        ([{"request": "r"}], r"results\[0\]\.driver"),
        ([{"request": 5}], r"results\[0\]\.request"),
    ],
)
def test_malformed_allocations_say_where(results: list[object], path: str) -> None:
    """An allocation that is none is an error with the path of the fault."""
    with pytest.raises(ValueError, match=path):
        decode_claim({"metadata": {}, "status": {"allocation": {"devices": {"results": results}}}})

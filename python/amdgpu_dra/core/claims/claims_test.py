"""The claim machine, the checks of a claim, and the last line of defence."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.api.checkpoint import HeldDevice, Record, State
from amdgpu_dra.api.errors import ClaimError, HostError
from amdgpu_dra.api.resource import Claim, DeviceResult, OpaqueConfig
from amdgpu_dra.core.claims import TABLE, Effect, Event, Holdings, plan_claim, plan_record
from amdgpu_dra.core.devices import Listing, list_devices
from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.core.gpu import parse
from amdgpu_dra.edge.faketree import read_fleet

SPX = list_devices(parse(render(read_fleet("mi300x-8-spx"))))
CPX = list_devices(parse(render(read_fleet("mi300x-8-cpx"))))


def _claim(*devices: str, **changes: Any) -> Claim:
    results = tuple(DeviceResult(request="gpu", driver="gpu.amd.com", pool="n", device=name) for name in devices)
    return replace(Claim(namespace="ns", name="c", uid="u", results=results), **changes)


def _record(*devices: str, uid: str = "u", **changes: Any) -> Record:
    held = tuple(HeldDevice(request="gpu", pool="n", device=name, **changes) for name in devices)
    return Record(uid=uid, namespace="ns", name=uid, state=State.READY, boot_id="b", devices=held)


def _plan(claim: Claim, listing: Listing = SPX) -> Record:
    return plan_claim(claim, "u", node="n", listing=listing, boot_id="b")


def test_every_state_answers_every_event() -> None:
    """The table has no hole."""
    states = (State.ABSENT, State.PREPARING, State.READY, State.UNPREPARING)

    assert set(TABLE) == {(state, event) for state in states for event in Event}


@pytest.mark.parametrize("effects", TABLE.values(), ids=str)
def test_intent_is_saved_first_and_result_last(effects: tuple[Effect, ...]) -> None:
    """Whoever writes a document has saved the intent before, and says so last."""
    if Effect.SAVE_READY in effects:
        assert (effects[0], effects[-1]) == (Effect.SAVE_PREPARING, Effect.SAVE_READY)
    if Effect.DROP_RECORD in effects:
        assert (effects[0], effects[-1]) == (Effect.SAVE_UNPREPARING, Effect.DROP_RECORD)


@pytest.mark.parametrize(
    ("claim", "text"),
    [
        (_claim(uid="other"), "expected UID u, found another claim of that name, UID other"),
        (_claim(results=None), "expected an allocation in its status, found none"),
    ],
    ids=["replaced", "not-allocated"],
)
def test_claims_that_cannot_be_prepared_say_why(claim: Claim, text: str) -> None:
    """A replaced and an unallocated claim are the claim's errors."""
    with pytest.raises(ClaimError, match=text):
        _plan(claim)


def test_a_device_that_is_gone_is_named_with_those_there_are() -> None:
    """The message names the device, what exists instead, and what to do."""
    with pytest.raises(
        HostError, match=r"expected device gpu-9 on this node, found gpu-0000-05-00-0, .*; the GPU has gone"
    ):
        _plan(_claim("gpu-9"))


def test_only_our_results_are_ours() -> None:
    """Results of other drivers and other pools are passed over."""
    others = (
        DeviceResult(request="nic", driver="nic.example.com", pool="n", device="x"),
        DeviceResult(request="gpu", driver="gpu.amd.com", pool="another-node", device="y"),
    )
    claim = _claim("gpu-0000-05-00-0")
    record = _plan(replace(claim, results=(*(claim.results or ()), *others)))

    assert [held.device for held in record.devices] == ["gpu-0000-05-00-0"]


def _config(parameters: object, **changes: Any) -> OpaqueConfig:
    base = OpaqueConfig(requests=(), driver="gpu.amd.com", parameters=parameters, from_class=False, path="config[0]")
    return replace(base, **changes)


GOOD = {"apiVersion": "gpu.resource.amd.com/v1alpha1", "kind": "GpuConfig"}


@pytest.mark.parametrize(
    "config",
    [
        _config(GOOD),
        _config({"x": 1}, driver="nic.example.com"),
        _config({"x": 1}, requests=("another",)),
    ],
    ids=["ours", "another-drivers", "another-requests"],
)
def test_configs_that_do_not_matter_do_no_harm(config: OpaqueConfig) -> None:
    """A GpuConfig, and whatever is meant for others."""
    assert _plan(_claim("gpu-0000-05-00-0", configs=(config,))).devices


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({**GOOD, "color": 1, "size": 2}, r"config\[0\]\.color: unknown field.*config\[0\]\.size"),
        ({**GOOD, "kind": "VfioDeviceConfig"}, "VfioDeviceConfig is not supported"),
        ({"kind": "GpuConfig"}, r"config\[0\]\.apiVersion: expected"),
        ([], r"config\[0\]: expected an object"),
    ],
)
def test_wrong_configs_are_told_whole(parameters: object, text: str) -> None:
    """Every wrong field is named, with its path."""
    with pytest.raises(ClaimError, match=text):
        _plan(_claim("gpu-0000-05-00-0", configs=(_config(parameters),)))


@pytest.mark.parametrize(
    ("mine", "theirs", "clash"),
    [
        ("gpu-0000-05-00-0", "gpu-0000-05-00-0", True),
        ("gpu-0000-05-00-0", "gpu-0000-26-00-0", False),
        ("gpu-0000-05-00-0", "gpu-0000-05-00-0-cpx-3", True),
        ("gpu-0000-05-00-0-dpx-1", "gpu-0000-05-00-0-cpx-3", True),
        ("gpu-0000-05-00-0-cpx-3", "gpu-0000-05-00-0-cpx-3", True),
        ("gpu-0000-05-00-0-cpx-3", "gpu-0000-05-00-0-cpx-30", False),
    ],
)
def test_devices_exclude_each_other(mine: str, theirs: str, *, clash: bool) -> None:
    """The same device, a GPU and its partition, and partitions of different modes; nothing else."""
    assert clash == (Holdings([_record(theirs, uid="v")]).find_conflict(_record(mine)) is not None)


def test_admin_access_and_shares_exclude_nothing() -> None:
    """A monitor and a second share of a device are no second owner."""
    owner = Holdings([_record("gpu-0000-05-00-0", uid="v")])
    share = Holdings([_record("gpu-0000-05-00-0", uid="v", share_id="t")])

    assert owner.find_conflict(_record("gpu-0000-05-00-0", admin_access=True)) is None
    assert share.find_conflict(_record("gpu-0000-05-00-0", share_id="s")) is None


NAMES = st.sampled_from(
    [f"gpu-0000-{bus:02x}-00-0{end}" for bus in (5, 6) for end in ("", "-cpx-0", "-cpx-1", "-dpx-0")]
)
CHANGES = st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.lists(NAMES, max_size=2)), max_size=12)


@given(CHANGES, NAMES)
def test_holdings_agree_with_a_plain_search(changes: list[tuple[str, list[str] | None]], wanted: str) -> None:
    """After any puts and drops a conflict is found exactly where a search through all records finds one."""
    holdings, plain = Holdings(), dict[str, Record]()
    for uid, names in changes:
        if names is None:
            holdings.drop(uid)
            plain.pop(uid, None)
        else:
            plain[uid] = _record(*names, uid=uid)
            holdings.put(plain[uid])
    want = _record(wanted, uid="new")
    found = any(Holdings([record]).find_conflict(want) for record in plain.values())

    assert found == (holdings.find_conflict(want) is not None)
    assert sorted(record.uid for record in holdings) == sorted(plain)


def test_plan_holds_nodes_document_and_answer() -> None:
    """Two partitions: kfd once to check, three nodes each in the document, sub-requests stripped in the answer."""
    claim = _claim("gpu-0000-05-00-0-cpx-0", "gpu-0000-05-00-0-cpx-1")
    results = tuple(replace(result, request="gpu/small") for result in claim.results or ())
    plan = plan_record(_plan(replace(claim, results=results), CPX), node="n", listing=CPX, dev_root="/dev")

    assert [node.path for node in plan.nodes] == ["kfd", "dri/card0", "dri/renderD128", "dri/card1", "dri/renderD129"]
    assert [device.request for device in plan.devices] == ["gpu", "gpu"]
    assert plan.devices[1].cdi_ids == ("k8s.gpu.amd.com/gpu=u-gpu-0000-05-00-0-cpx-1",)
    edits = plan.spec["devices"][1]["containerEdits"]
    assert [node["path"] for node in edits["deviceNodes"]] == ["/dev/kfd", "/dev/dri/card1", "/dev/dri/renderD129"]
    assert {"type": "c", "major": 226, "minor": 129, "permissions": "rw"}.items() <= edits["deviceNodes"][2].items()
    assert not any("VISIBLE_DEVICES" in pair for pair in edits["env"])


def test_a_device_twice_in_a_claim_has_two_names() -> None:
    """Normal and admin access to one device give distinct CDI names."""
    record = _record("gpu-0000-05-00-0", "gpu-0000-05-00-0")
    plan = plan_record(record, node="n", listing=SPX, dev_root="/dev")

    assert len({device["name"] for device in plan.spec["devices"]}) == 2


def test_another_board_at_the_same_address_is_refused() -> None:
    """A GPU that was exchanged is not handed out under the old name."""
    record = _record("gpu-0000-05-00-0", unique_id="0123456789abcdef")

    with pytest.raises(HostError, match="expected the GPU with unique id 0123456789abcdef"):
        plan_record(record, node="n", listing=SPX, dev_root="/dev")

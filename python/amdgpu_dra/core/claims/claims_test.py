"""The claim machine, the checks of a claim, and the last line of defence."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.api.checkpoint import HeldDevice, Record, State
from amdgpu_dra.api.errors import ClaimError, HostError
from amdgpu_dra.api.resource import Claim, DeviceResult, OpaqueConfig
from amdgpu_dra.core.claims import (
    TABLE,
    Effect,
    Event,
    Holdings,
    find_switch,
    find_switches,
    plan_claim,
    plan_record,
    split_name,
)
from amdgpu_dra.core.devices import Layout, Listing, NodeDevice, device_name, list_devices
from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.core.gpu import parse
from amdgpu_dra.edge.faketree import read_fleet

SPX = list_devices(parse(render(read_fleet("mi300x-8-spx"))))
CPX = list_devices(parse(render(read_fleet("mi300x-8-cpx"))))
ALL = list_devices(parse(render(read_fleet("mi300x-8-spx"))), Layout(dynamic=True))
ALL_IN_CPX = list_devices(parse(render(read_fleet("mi300x-8-cpx"))), Layout(dynamic=True))


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
    states = (State.ABSENT, State.PREPARING, State.READY, State.UNPREPARING, State.LOST)

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


def test_a_claim_of_others_alone_is_refused() -> None:
    """Of other drivers, of our driver elsewhere, or of nothing: the pod would start without a device."""
    nic = DeviceResult(request="nic", driver="nic.example.com", pool="n", device="x")
    elsewhere = DeviceResult(request="gpu", driver="gpu.amd.com", pool="m", device="gpu-0000-05-00-0")
    found = r"device of driver gpu.amd.com in pool n in status.allocation.devices.results, found "

    with pytest.raises(ClaimError, match=found + "driver gpu.amd.com in pool m, driver nic.example.com in pool n"):
        _plan(_claim(results=(nic, elsewhere)))
    with pytest.raises(ClaimError, match=found + "no device at all"):
        _plan(_claim(results=()))


@pytest.mark.parametrize(
    ("one", "other", "good"),
    [
        ({}, {}, False),
        ({}, {"admin_access": True}, True),
        ({"admin_access": True}, {"admin_access": True}, True),
        ({"share_id": "s"}, {"share_id": "t"}, True),
        ({"share_id": "s"}, {"share_id": "s"}, False),
        ({"share_id": "s"}, {}, False),
    ],
    ids=str,
)
def test_a_device_is_once_in_a_claim(one: dict[str, Any], other: dict[str, Any], *, good: bool) -> None:
    """Twice to have alone is no allocation that a scheduler makes; admin access and other shares are."""
    result = DeviceResult(request="a", driver="gpu.amd.com", pool="n", device="gpu-0000-05-00-0")
    claim = _claim(results=(replace(result, **one), replace(result, request="b/s", **other)))
    if good:
        assert len(_plan(claim).devices) == 2
        return
    with pytest.raises(
        ClaimError, match=r"gpu-0000-05-00-0 once in .*, found it is there for request a and for .* b/s"
    ):
        _plan(claim)


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


PARTS = st.sampled_from(ALL.devices)


@given(st.lists(PARTS, min_size=1, max_size=4), st.lists(PARTS, min_size=1, max_size=4))
def test_no_two_claims_have_the_same_hardware(mine: list[NodeDevice], theirs: list[NodeDevice]) -> None:
    """Claims clash where a GPU would be in two modes (whole is one) or a partition in two claims, and nowhere else."""

    def clash(one: NodeDevice, other: NodeDevice) -> bool:
        same = (one.mode, one.partition.index) == (other.mode, other.partition.index)
        return one.gpu.address == other.gpu.address and (same or one.mode != other.mode)

    held = Holdings([_record(*(device.name for device in theirs), uid="v")])
    found = held.find_conflict(_record(*(device.name for device in mine)))
    assert (found is not None) == any(clash(one, other) for one in mine for other in theirs)


@pytest.mark.parametrize("effects", TABLE.values(), ids=str)
def test_modes_are_set_after_the_intent_and_before_nodes_are_checked(effects: tuple[Effect, ...]) -> None:
    """Whoever writes a document has the modes set before, and whoever will say so afterwards has saved the intent."""
    if Effect.WRITE_CDI in effects:
        assert effects.index(Effect.SWITCH_MODE) < effects.index(Effect.CHECK_NODES)
    if Effect.SAVE_READY in effects:
        assert effects.index(Effect.SAVE_PREPARING) < effects.index(Effect.SWITCH_MODE)


@given(st.sets(st.sampled_from([device.name for device in ALL.devices]), min_size=1, max_size=6), st.booleans())
def test_what_is_switched_is_what_is_not_current(names: set[str], admin: bool) -> None:  # noqa: FBT001 - Hypothesis
    """For devices of one mode a GPU: one switch for each GPU that is in another mode, by address; admin access none."""
    modes = {split_name(name)[0]: split_name(name)[1] for name in sorted(names)}
    fitting = [name for name in sorted(names) if modes[split_name(name)[0]] == split_name(name)[1]]
    switches = find_switches(_record(*fitting, admin_access=admin), ALL)

    found = {device_name(switch.address, None, 0): switch.mode for switch in switches}
    assert found == ({} if admin else {gpu: mode for gpu, mode in modes.items() if mode != "SPX"})
    assert list(switches) == sorted(switches, key=lambda switch: switch.address)


def test_a_switch_needs_every_partition_that_is_published() -> None:
    """All eight of CPX; none for the mode that is set or one that is not offered."""
    gpu = ALL.devices[0].gpu.address
    switch = find_switch(ALL, gpu, "CPX")

    assert switch is not None
    assert switch.indices == frozenset(range(8))
    assert find_switch(ALL, gpu, "SPX") is None
    assert find_switch(ALL, gpu, "TPX") is None
    assert find_switch(SPX, gpu, "CPX") is None


def test_two_modes_of_one_gpu_in_a_claim_are_refused() -> None:
    """Counters keep the scheduler from it; if it comes all the same, nothing is switched."""
    with pytest.raises(ClaimError, match=r"expected devices of one mode .* \(CPX\) and .* \(DPX\)"):
        find_switches(_record("gpu-0000-05-00-0-cpx-0", "gpu-0000-05-00-0-dpx-0"), ALL)


def test_a_candidate_is_no_device_yet() -> None:
    """Planned before its GPU is switched it is refused with both modes; nodes are never guessed."""
    with pytest.raises(HostError, match=r"in mode CPX for gpu-0000-05-00-0-cpx-0, found mode SPX"):
        plan_record(_record("gpu-0000-05-00-0-cpx-0"), node="n", listing=ALL, dev_root="/dev")


def test_admin_access_has_the_nodes_that_exist() -> None:
    """For a whole GPU that is cut into eight: all eight; for one that exists: its own."""
    looks_on = _record("gpu-0000-05-00-0", admin_access=True)
    exists = _record("gpu-0000-05-00-0-cpx-2", admin_access=True)

    all_of_it = plan_record(looks_on, node="n", listing=ALL_IN_CPX, dev_root="/dev")
    assert [node.path for node in all_of_it.nodes if "renderD" in node.path] == [
        f"dri/renderD{minor}" for minor in range(128, 136)
    ]
    own = plan_record(exists, node="n", listing=ALL_IN_CPX, dev_root="/dev")
    assert [node.path for node in own.nodes if "renderD" in node.path] == ["dri/renderD130"]


def test_a_mode_that_is_not_set_is_told_with_the_one_that_is() -> None:
    """In a static layout a partition of another mode is refused with both."""
    with pytest.raises(HostError, match=r"found GPU 0000:05:00.0 in mode SPX and not CPX; the GPU has gone"):
        _plan(_claim("gpu-0000-05-00-0-cpx-0"))


def test_a_gpu_without_devices_says_why() -> None:
    """As after a switch that KFD did not complete: what is withheld of the GPU is told in place of other devices."""
    inventory = parse(render(read_fleet("mi300x-8-spx")))
    bare = replace(inventory, gpus=(replace(inventory.gpus[0], partitions=()), *inventory.gpus[1:]))

    with pytest.raises(HostError, match=r"no device of GPU 0000:05:00.0 \(GPU 0000:05:00.0: amdgpu drives it"):
        _plan(_claim("gpu-0000-05-00-0-cpx-0"), list_devices(bare))


def test_admin_access_and_shares_exclude_nothing() -> None:
    """A monitor and a second share of a device are no second owner."""
    owner = Holdings([_record("gpu-0000-05-00-0", uid="v")])
    share = Holdings([_record("gpu-0000-05-00-0", uid="v", share_id="t")])

    assert owner.find_conflict(_record("gpu-0000-05-00-0", admin_access=True)) is None
    assert share.find_conflict(_record("gpu-0000-05-00-0", share_id="s")) is None


def test_a_share_excludes_other_modes() -> None:
    """A share of a partition keeps its GPU in that mode, and its partition from who wants it alone."""
    share = Holdings([_record("gpu-0000-05-00-0-cpx-1", uid="v", share_id="t")])

    assert share.find_conflict(_record("gpu-0000-05-00-0-dpx-1", share_id="s")) is not None
    assert share.find_conflict(_record("gpu-0000-05-00-0-cpx-1")) is not None
    assert share.find_conflict(_record("gpu-0000-05-00-0-cpx-2")) is None
    assert not share.is_free("gpu-0000-05-00-0")
    assert share.is_free("gpu-0000-26-00-0")


def test_a_monitor_leaves_a_gpu_free() -> None:
    """Admin access is no reason not to switch."""
    assert Holdings([_record("gpu-0000-05-00-0", admin_access=True)]).is_free("gpu-0000-05-00-0")


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

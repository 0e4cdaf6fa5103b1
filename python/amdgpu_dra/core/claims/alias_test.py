"""AMD's names, which move from GPU to GPU: whatever they mean by now, a claim has its own hardware or an error."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.api.checkpoint import Record, State
from amdgpu_dra.api.errors import HostError
from amdgpu_dra.api.reasons import Reason
from amdgpu_dra.api.resource import Claim, DeviceResult
from amdgpu_dra.core.cdi import encode_spec
from amdgpu_dra.core.claims import (
    Effect,
    Here,
    Holdings,
    Plan,
    Seen,
    carry_over,
    find_record,
    find_switches,
    judge,
    plan_claim,
    plan_record,
)
from amdgpu_dra.core.claims.lost import hold_claim
from amdgpu_dra.core.devices import AMD_NAMES, Layout, Listing, list_devices
from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.core.gpu import Inventory, parse
from amdgpu_dra.edge.faketree import read_fleet

AMD = Layout(names=AMD_NAMES)
CPX = parse(render(read_fleet("mi300x-8-cpx")))
SPX = parse(render(read_fleet("mi300x-8-spx")))


def _renumber(inventory: Inventory, order: list[int]) -> Inventory:
    """The same GPUs and partitions, whose DRM nodes are each another's, as a reboot may number them."""
    parts = [part for gpu in inventory.gpus for part in gpu.partitions]
    nodes = iter([(parts[index].card, parts[index].render) for index in order])
    gpus = []
    for gpu in inventory.gpus:
        moved = []
        for part in gpu.partitions:
            card, render_node = next(nodes)
            moved.append(replace(part, card=card, render=render_node))
        gpus.append(replace(gpu, partitions=tuple(moved)))
    return replace(inventory, gpus=tuple(gpus))


def _claim(*names: str) -> Claim:
    results = tuple(DeviceResult(request="r", driver="gpu.amd.com", pool="n", device=name) for name in names)
    return Claim(namespace="ns", name="c", uid="u", results=results, reserved=True)


def _ready(claim: Claim, listing: Listing) -> Record:
    planned = plan_claim(claim, "u", node="n", listing=listing, boot_id="b")
    return replace(planned, state=State.READY)


def _plan(record: Record, listing: Listing) -> Plan:
    return plan_record(record, node="n", listing=listing, dev_root="/dev")


def _here(listing: Listing) -> Here:
    return Here(node="n", boot_id="b2", dev_root="/dev", listing=listing, held=Holdings())


PARTS = sum(len(gpu.partitions) for gpu in CPX.gpus)


@given(order=st.permutations(range(PARTS)), pick=st.integers(0, PARTS - 1))
def test_a_renumbered_device_is_never_another_one(order: list[int], pick: int) -> None:
    """Of the same partition, or, where its name means another one by now, refused; while it is held nobody gets it."""
    before, after = list_devices(CPX, AMD), list_devices(_renumber(CPX, order), AMD)
    device = before.devices[pick]
    record = _ready(_claim(device.published), before)
    now = after.find(device.name)
    assert now is not None

    if now.published == device.published:
        assert _plan(record, after).nodes == now.nodes
    else:
        with pytest.raises(HostError, match="numbered anew"):
            _plan(record, after)
        with pytest.raises(HostError, match="numbered anew"):
            find_switches(record, after)
    other = replace(_ready(_claim(now.published), after), uid="v", name="other")
    conflict = Holdings([record]).find_conflict(other)
    assert conflict is not None
    assert conflict[0] == device.name


@given(order=st.permutations(range(8)))
def test_what_was_lost_comes_back_as_what_it_was(order: list[int]) -> None:
    """A document names hardware: by it a lost record is made anew, or, under a name that moved, not at all.

    Neither does a new Prepare take the other GPU while that document is there.
    """
    before, after = list_devices(SPX, AMD), list_devices(_renumber(SPX, order), AMD)
    device = before.devices[0]
    claim = _claim(device.published)
    document = encode_spec(_plan(_ready(claim, before), before).spec)
    lost = find_record("u", document, "n")
    assert lost is not None
    assert [held.device for held in lost.devices] == [device.name]
    finding = judge("u", Seen(record=lost, document=document, known=True, claim=claim), _here(after))
    assert finding is not None

    planned = plan_claim(claim, "u", node="n", listing=after, boot_id="b2")
    if order[0] == 0:
        assert (finding.reason, finding.record) == (Reason.RECORD_REBUILT, planned)
        assert carry_over(planned, lost) == planned
    else:
        assert (finding.reason, finding.effects) == (Reason.CLAIM_QUARANTINED, (Effect.DROP_CDI,))
        with pytest.raises(HostError, match="numbered anew"):
            carry_over(planned, lost)


def test_the_names_can_be_changed_under_claims() -> None:
    """With other names in force a prepared claim keeps its nodes, and the kubelet is told the name it knows.

    A name that nothing has any more is nobody else's.
    """
    amd, pci = list_devices(SPX, AMD), list_devices(SPX)
    for first, then in ((amd, pci), (pci, amd)):
        device = first.devices[3]
        plan = _plan(_ready(_claim(device.published), first), then)

        assert plan.nodes == device.nodes
        assert [item.device for item in plan.devices] == [device.published]
    # Allocated before the change and prepared after it: PCI names still say which device it is, AMD's do not.
    assert _ready(_claim("gpu-0000-05-00-0"), amd).devices[0].device == "gpu-0000-05-00-0"
    with pytest.raises(HostError, match="expected device gpu-0-128 on this node"):
        _ready(_claim("gpu-0-128"), pci)


def test_documents_do_not_depend_on_names() -> None:
    """What a container gets is the same under both."""
    specs = []
    for layout in (AMD, Layout()):
        listing = list_devices(SPX, layout)
        specs.append(encode_spec(_plan(_ready(_claim(listing.devices[0].published), listing), listing).spec))

    assert specs[0] == specs[1]


def test_a_claim_that_cannot_be_rebuilt_is_held_by_its_hardware() -> None:
    """Its record and document are lost and another claim has its device: what it has is known by the device's name."""
    listing = list_devices(SPX, AMD)
    claim = _claim("gpu-8-136")
    other = replace(_ready(claim, listing), uid="v", name="other")
    here = replace(_here(listing), held=Holdings([other]))
    finding = judge("u", Seen(missing=True, known=True, claim=claim), here)

    assert finding is not None
    assert finding.reason == Reason.CLAIM_QUARANTINED
    lost = hold_claim(claim, "n", listing)
    assert [(held.device, held.alias) for held in lost.devices] == [("gpu-0000-26-00-0", "gpu-8-136")]
    # Nothing has that name: nobody knows which device it was, and its next Prepare may find out.
    (unknown,) = hold_claim(claim, "n", list_devices(SPX)).devices
    assert (unknown.device, unknown.alias) == ("gpu-8-136", "")
    assert carry_over(_ready(claim, listing), hold_claim(claim, "n", list_devices(SPX))) == _ready(claim, listing)

"""Holds the allocator against recorded answers of upstream's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from amdgpu_dra.core.allocate.allocator import Allocated, Allocator, Failed, Outcome, StepLimit
from amdgpu_dra.core.allocate.decode import decode_class, decode_node, decode_slice
from amdgpu_dra.core.allocate.decode_claim import decode_claim
from amdgpu_dra.core.allocate.features import Features
from amdgpu_dra.core.allocate.fields import DecodeError, Fields
from amdgpu_dra.core.allocate.model import DeviceId
from amdgpu_dra.core.allocate.pools import Inventory
from amdgpu_dra.core.allocate.selectors import SelectorCache
from amdgpu_dra.core.allocate.state import AllocatedState


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A case with another answer than upstream's."""

    name: str
    expected: str
    found: str


def solve_case(case: Mapping[str, object], *, pruned: bool = True) -> Outcome:
    """Our answer to a case in the form of the recorded ones."""
    try:
        allocator, question = _read(case, pruned=pruned)
        claims = [decode_claim(item.raw) for item in question.objects("claims", lambda item: item)]
        return allocator.allocate(decode_node(question.child("node").raw), claims)
    except (DecodeError, ValueError) as error:
        return Failed(text=str(error), node_local=False, steps=0)


def judge_allocation(case: Mapping[str, object]) -> Difference | None:
    """The difference from the case's `expect`, if there is one: verdict, devices, order, shares and configurations.

    Texts of errors are not compared.
    """
    expect = Fields(case, "case").child("expect")
    if expect.has("error"):
        expected: object = "error"
    else:
        expected = _without_empty(expect.raw.get("results"))
    outcome = solve_case(case)
    found = _verdict(outcome)
    if found == expected:
        return None
    return Difference(name=Fields(case, "case").text("name"), expected=repr(expected), found=_show(outcome, found))


def _verdict(outcome: Outcome) -> object:
    match outcome:
        case Allocated():
            return _without_empty(outcome.results)
        case Failed():
            return "error"
        case StepLimit():
            return "step limit"
    return None


def _show(outcome: Outcome, found: object) -> str:
    return f"error: {outcome.text}" if isinstance(outcome, Failed) else repr(found)


def _without_empty(value: object) -> object:
    """Drops what JSON of Go gives as null."""
    if isinstance(value, Mapping):
        return {name: _without_empty(item) for name, item in value.items() if item is not None}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_without_empty(item) for item in value]
    return value


def _read(case: Mapping[str, object], *, pruned: bool) -> tuple[Allocator, Fields]:
    question = Fields(case, "case")
    names = question.child("features")
    features = Features.named({name: names.flag(name, default=False) for name in names.raw})
    allocator = Allocator(
        features if names.raw else Features.all_on(),
        _state(question),
        question.objects("classes", lambda item: decode_class(item.raw)),
        Inventory(question.objects("slices", lambda item: decode_slice(item.raw))),
        selectors=SelectorCache(),
        channel=question.text("channel"),
        pruned=pruned,
    )
    return allocator, question


def _state(question: Fields) -> AllocatedState:
    devices = [_device(item) for item in question.items("allocatedDevices")]
    shared = question.objects("sharedDeviceIDs", lambda item: _device(item.raw.get("id")))
    rows = question.objects(
        "aggregatedCapacity", lambda item: (_device(item.raw.get("id")), item.quantities("capacity"))
    )
    return AllocatedState(
        devices=frozenset(devices),
        shared=frozenset(shared),
        capacity={device: {name: value.nano for name, value in amounts.items()} for device, amounts in rows},
    )


def _device(item: object) -> DeviceId:
    if not isinstance(item, list | tuple) or len(item) != len(DeviceId._fields):
        raise DecodeError("device", "driver, pool and device", item)
    return DeviceId(*(str(part) for part in item))

"""Every refusal of a call is told beside its claim and its pods, by who has to do something about it."""

import asyncio
from collections.abc import Iterable, Mapping

import pytest

from amdgpu_dra.agent.claims import Answer, ClaimRef, telling
from amdgpu_dra.api.errors import ClaimError, DriverError, HostError, NotReadyError
from amdgpu_dra.api.reasons import Reason
from amdgpu_dra.api.resource import ObjectRef
from amdgpu_dra.testing.fakes import FakeEvents

REF = ClaimRef("u", "ns", "c")
PODS = (ObjectRef(kind="Pod", namespace="ns", name="p", uid="1"),)


def _error(kind: type[DriverError]) -> DriverError:
    return kind("claim ns/c", expected="it", found="not", action="wait")


def _tell(answer: Answer, always: Reason | None = None) -> FakeEvents:
    events = FakeEvents()

    async def call(refs: Iterable[ClaimRef]) -> Mapping[str, Answer]:
        return {ref.uid: answer for ref in refs}

    async def story() -> None:
        assert await telling(events, call, always=always)(iter([REF, REF])) == {"u": answer}

    asyncio.run(story())
    return events


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (ClaimError, Reason.PREPARE_REFUSED),
        (HostError, Reason.PREPARE_FAILED),
        (NotReadyError, Reason.PREPARE_DELAYED),
    ],
)
def test_a_refusal_is_told_by_who_has_to_act(kind: type[DriverError], reason: Reason) -> None:
    """The reason says whether it is the claim, the node or time; the message is that of the answer."""
    cause = _error(kind)
    events = _tell(Answer(error=str(cause), cause=cause, pods=PODS))

    assert events.told == [(reason, f"ns/c: {cause}")]
    assert events.pods == [(reason, "p")]


def test_success_is_told_to_nobody() -> None:
    """No error, no Event."""
    assert _tell(Answer()).told == []


def test_a_defect_is_told() -> None:
    """An error without a cause is the node's."""
    assert _tell(Answer(error="internal error")).told == [(Reason.PREPARE_FAILED, "ns/c: internal error")]


def test_nothing_is_told_while_the_api_server_is_away() -> None:
    """A claim that could not be read is no Event that could be posted; a disk that refuses is one."""
    away, broken = _error(NotReadyError), _error(HostError)

    assert _tell(Answer(error="x", cause=away)).told == []
    assert _tell(Answer(error="x", cause=broken)).told == [(Reason.PREPARE_FAILED, "ns/c: x")]


def test_an_unprepare_has_its_own_reason() -> None:
    """Whatever the error is."""
    events = _tell(Answer(error="x", cause=_error(HostError)), always=Reason.UNPREPARE_FAILED)

    assert events.told == [(Reason.UNPREPARE_FAILED, "ns/c: x")]

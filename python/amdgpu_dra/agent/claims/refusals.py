"""Tells of every claim that a call refuses: beside the claim, and beside the pods that have it."""

from collections.abc import Awaitable, Callable, Iterable, Mapping

from amdgpu_dra.agent.claims.manager import Answer, ClaimRef
from amdgpu_dra.agent.ports import Events
from amdgpu_dra.api.errors import ClaimError, NotReadyError
from amdgpu_dra.api.reasons import Reason

type Call = Callable[[Iterable[ClaimRef]], Awaitable[Mapping[str, Answer]]]


def telling(events: Events, call: Call, *, always: Reason | None = None) -> Call:
    """The call, with an Event for each claim that it refuses.

    Nothing is told where the API server could not be asked for the claim: it would not take an Event either.

    Args:
        events: where it is told.
        call: Prepare or Unprepare.
        always: the reason of every refusal; None for that of a Prepare, by who has to do something about it.
    """

    async def told(refs: Iterable[ClaimRef]) -> Mapping[str, Answer]:
        known = {ref.uid: ref for ref in refs}
        answers = await call(known.values())
        for uid, answer in answers.items():
            cause = answer.cause
            if not answer.error or (isinstance(cause, NotReadyError) and answer.pods is None):
                continue
            ref = known[uid]
            events.emit(
                always or _reason(answer),
                answer.error,
                claim=(ref.namespace, ref.name, uid),
                pods=answer.pods or (),
                # What was found may have a time in it, or who is in the way now.
                same=f"{cause.where}: {cause.expected}" if cause is not None else "",
            )
        return answers

    return told


def _reason(answer: Answer) -> Reason:
    if isinstance(answer.cause, ClaimError):
        return Reason.PREPARE_REFUSED
    return Reason.PREPARE_DELAYED if isinstance(answer.cause, NotReadyError) else Reason.PREPARE_FAILED

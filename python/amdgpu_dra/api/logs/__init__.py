"""The fields of log lines: one table. `docs/reference/logs.md` is generated from it.

Knows names and meanings, and which fields a line may have: `facts` is the only way to give one any, and the type
checker refuses a field that is not in the table. Refuses to know how a line is written.
"""

from typing import Any, TypedDict, Unpack

__all__ = ["FIELDS", "SHOWN", "Facts", "facts", "join"]

SHOWN = 8
"""So many claims, devices or errors are written in one line; then how many more there are."""


class Facts(TypedDict, total=False):
    """Fields and their types."""

    method: str
    call: int
    claims: str
    count: int
    failed: int
    ms: float
    devices: str
    error: str
    claim: str
    reason: str


FIELDS: dict[str, str] = {
    "method": "of the line of a kubelet's call: `Prepare` or `Unprepare`; there is one line for each call, at its end",
    "call": "number of the call since the plugin's start",
    "claims": f"`namespace/name:uid` of each claim of the call, with a comma between them; after {SHOWN} how many more",
    "count": "how many claims the call had",
    "failed": "how many of them failed; the line's level is error unless it is 0",
    "ms": "milliseconds from the call's arrival to its answer",
    "devices": f"devices that were prepared, with a comma between them; after {SHOWN} how many more",
    "error": f"errors of claims, with `; ` between them; after {SHOWN} how many more: the kubelet has all of them",
    "claim": "`namespace/name` of the claim that a line is about, or `UID …` if its name is not known",
    "reason": "a code of [reasons](reasons.md)",
}
"""What each field says; `docs/reference/logs.md` is generated from it."""


def facts(**fields: Unpack[Facts]) -> dict[str, Any]:
    """What a log call is given as `extra`."""
    return {"facts": fields}


def join(items: list[str], separator: str) -> str:
    """The first of them, and how many more there are."""
    shown = separator.join(items[:SHOWN])
    return f"{shown}{separator}and {len(items) - SHOWN} more" if len(items) > SHOWN else shown

"""An explanation as text of few lines, or as JSON."""

from collections.abc import Sequence

from amdgpu_dra.core.explain.model import Explanation, Row, Verdict

MOST_LINES = 25
_MOST_NOTES = 5
_MOST_REQUESTS = 2


def render_text(found: Explanation) -> tuple[str, ...]:
    """At most MOST_LINES lines: the answer, then a line for each cause or device, then notes."""
    head = _head(found)
    notes = _capped([f"note: {note}" for note in found.notes], _MOST_NOTES, "notes")
    room = MOST_LINES - len(head) - len(notes)
    if found.rows:
        return (*head, *_rows(found, room), *notes)
    gets = [f"  {request}: {device}" for request, device in found.gets]
    return (*head, *_capped(gets, room, "devices"), *notes)


def render_json(found: Explanation) -> dict[str, object]:
    """The same as data."""
    return {
        "claim": found.claim,
        "verdict": found.verdict.value,
        "nodes": found.nodes,
        "devices": found.devices,
        "fittingNodes": found.fitting,
        "failingNodes": found.failing,
        "unsureNodes": found.unsure,
        "node": found.place,
        "gets": [{"request": request, "device": device} for request, device in found.gets],
        "refusals": [
            {
                "code": row.cause.value,
                "count": row.count,
                "devices": len(row.devices),
                "nodes": row.nodes,
                "requests": list(row.requests),
                "example": row.example,
                "reason": row.reason,
                "change": row.change,
            }
            for row in found.rows
        ],
        "notes": list(found.notes),
    }


def _head(found: Explanation) -> list[str]:
    asked = f"{_count(found.nodes, 'node')} ({_count(found.devices, 'device')})"
    match found.verdict:
        case Verdict.ALLOCATED:
            return [f"claim {found.claim} is allocated; a pod that waits all the same waits for something else. It has"]
        case Verdict.FITS:
            return [f"claim {found.claim} fits on {found.fitting} of {asked}; on {found.place} it would get"]
        case Verdict.REFUSED:
            return [f"claim {found.claim} fits on none of {asked}:"]
        case Verdict.UNKNOWN:
            unsure = f"claim {found.claim}: not known whether it fits on {found.unsure} of {asked}"
            return [f"{unsure}: their search was ended. Raise --step-limit, or ask for fewer devices. What is known:"]
    other = f"; it would fit on {_count(found.fitting, 'other')}" if found.fitting else ""
    return [f"claim {found.claim}: an error on {found.failing} of {asked} ends the scheduler's attempt on all{other}:"]


def _rows(found: Explanation, room: int) -> list[str]:
    several = len({request for row in found.rows for request in row.requests}) > 1
    lines = [_line(row, several=several) for row in found.rows]
    if len(lines) <= room:
        return lines
    rest = found.rows[room - 1 :]
    devices = _count(len({device for row in rest for device in row.devices}), "device")
    return [*lines[: room - 1], f"  and {_count(len(rest), 'other reason')} ({devices})"]


def _line(row: Row, *, several: bool) -> str:
    what = f"{_count(len(row.devices), 'device')} on {_count(row.nodes, 'node')}" if row.devices else ""
    what = what or (_count(row.nodes, "node") if row.nodes else "everywhere")
    example = f", e.g. {row.example}" if row.example else ""
    asked = f" (for {_requests(row.requests)})" if several and row.requests else ""
    return f"  {what}{example}{asked}: {row.reason} -> {row.change}"


def _requests(names: Sequence[str]) -> str:
    more = len(names) - _MOST_REQUESTS
    named = ", ".join(names[:_MOST_REQUESTS])
    return named if more <= 0 else f"{named} and {more} more"


def _capped(lines: list[str], room: int, what: str) -> list[str]:
    if len(lines) <= room:
        return lines
    return [*lines[: room - 1], f"  and {len(lines) - room + 1} other {what}"]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

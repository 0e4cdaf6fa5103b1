"""The allocator's errors by kind: what they are about, without what differs from node to node."""

import re
from dataclasses import dataclass

from amdgpu_dra.core.explain.model import Cause


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ErrorKind:
    """An error: its kind, what it is about, its text in one line, and the device or pool that it names."""

    cause: Cause
    subject: str
    detail: str
    example: str = ""


_ON_DEVICE = r"(?P<subject>.*?)(?: on device (?P<example>\S+))?: CEL runtime error: "
_KINDS = (
    (Cause.COMPILE_ERROR, r"(?P<subject>.*?): CEL compile error: (?P<detail>.*)"),
    (Cause.MISSING_KEY, _ON_DEVICE + r"no such key: (?P<detail>.*)"),
    (Cause.RUNTIME_ERROR, _ON_DEVICE + r"(?P<detail>.*)"),
    (Cause.NO_CLASS, r"(?P<detail>.*): could not retrieve device class (?P<subject>\S+):.*"),
    (
        Cause.ALL_UNREADY,
        r"(?P<subject>.*): asks for all devices, but resource pool (?P<example>\S+) is currently (?P<detail>.*)",
    ),
    (Cause.TOO_MANY, r"(?P<subject>)(?P<detail>.*exceeds the claim limit.*|allocation max size exceeded)"),
    (Cause.FEATURE_OFF, r"(?P<subject>)(?P<detail>.*feature is disabled)"),
    (Cause.ERROR, r"(?P<subject>)(?P<detail>.*)"),
)
_KNOWN = tuple((cause, re.compile(pattern, re.DOTALL)) for cause, pattern in _KINDS)
_FAULT = re.compile(r"ERROR: <input>:(\d+):(\d+): ([^\n]*)")


def classify_error(text: str) -> ErrorKind:
    """The kind of one of upstream's texts."""
    for cause, pattern in _KNOWN:
        if (match := pattern.fullmatch(text)) is not None:
            found = match.groupdict(default="")
            detail = _faults(found["detail"]) if cause is Cause.COMPILE_ERROR else " ".join(found["detail"].split())
            return ErrorKind(cause=cause, subject=found["subject"], detail=detail, example=found.get("example", ""))
    raise AssertionError(text)  # the last kind takes every text


def _faults(text: str) -> str:
    """The first fault with its place, and how many others there are."""
    faults = _FAULT.findall(text)
    if not faults:
        return " ".join(text.split())
    line, column, first = faults[0]
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return f"line {line}, column {column}: {first}{more}"

"""Durations and timestamps as text, and the parts of both."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from fractions import Fraction
from zoneinfo import ZoneInfo

from amdgpu_dra.core.cel.errors import CelRuntimeError
from amdgpu_dra.core.cel.operators import moment
from amdgpu_dra.core.cel.overloads import Functions, overload
from amdgpu_dra.core.cel.values import MAX_INT, Duration, Timestamp, Value

__all__ = ["FUNCTIONS", "duration_text", "read_duration", "read_timestamp", "timestamp_text"]

_SECOND = 10**9
_UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": _SECOND,
    "m": 60 * _SECOND,
    "h": 3600 * _SECOND,
}
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_DURATION = re.compile(rf"[+-]?(?:0|(?:{_PART.pattern})+)")
_TIMESTAMP = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?:[.,]([0-9]+))?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_ZONE = re.compile(r"([+-]?)([0-9]{1,2}):([0-9]{2})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOURS, _MINUTES = 24, 60


def read_duration(text: str) -> Value:
    """`1h30m`, `1.5s`, as Go reads it."""
    if not _DURATION.fullmatch(text):
        raise CelRuntimeError("type conversion error from 'string' to 'google.protobuf.Duration'")
    nanos = sum(int(Fraction(number.rstrip(".")) * _UNITS[unit]) for number, unit in _PART.findall(text))
    if nanos > MAX_INT:
        raise CelRuntimeError("type conversion error from 'string' to 'google.protobuf.Duration'")
    return Duration(-nanos if text.startswith("-") else nanos)


def duration_text(value: Duration) -> str:
    """Seconds, with a fraction where there is one."""
    seconds = value.nanos / _SECOND
    text = f"{seconds:.9f}".rstrip("0").rstrip(".") if value.nanos % _SECOND else str(int(seconds))
    return f"{text}s"


def read_timestamp(text: str) -> Value:
    """A time of RFC 3339."""
    bad = CelRuntimeError("type conversion error from 'string' to 'google.protobuf.Timestamp'")
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        raise bad
    *parts, fraction, zone = match.groups()
    try:
        at = datetime(*map(int, parts), tzinfo=UTC)  # type: ignore[arg-type,misc] # six numbers
    except ValueError:
        raise bad from None
    offset = 0
    if zone != "Z":
        hours, minutes = int(zone[1:3]), int(zone[4:6])
        if hours > _HOURS or minutes >= _MINUTES:
            raise bad
        offset = (hours * 3600 + minutes * 60) * (-1 if zone[0] == "-" else 1)
    seconds = (at - _EPOCH) // timedelta(seconds=1) - offset
    return moment(seconds * _SECOND + int((fraction or "0")[:9].ljust(9, "0")))


def timestamp_text(value: Timestamp) -> str:
    """A moment in UTC by RFC 3339, with the fraction that it has."""
    seconds, nanos = divmod(value.nanos, _SECOND)
    at = _EPOCH + timedelta(seconds=seconds)
    text = f"{at.year:04}-{at.month:02}-{at.day:02}T{at.hour:02}:{at.minute:02}:{at.second:02}"
    return text + (f".{nanos:09}".rstrip("0") if nanos else "") + "Z"


def _zone(name: str) -> tzinfo:
    """A zone by its name or as `+02:00`; components of a cluster run in UTC."""
    if ":" not in name:
        try:
            return UTC if name in {"", "UTC", "Local"} else ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            raise CelRuntimeError(f"unknown time zone {name}") from None
    match = _ZONE.fullmatch(name)
    if match is None:
        raise CelRuntimeError(f"invalid time zone {name}")
    sign, hours, minutes = match.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    return timezone(-offset if sign == "-" else offset)


def _part(read: Callable[[datetime, int], int]) -> Callable[..., Value]:
    """A part of a moment, in UTC or the zone that is named."""

    def run(value: Timestamp, zone: str = "UTC") -> Value:
        seconds, nanos = divmod(value.nanos, _SECOND)
        try:
            at = (_EPOCH + timedelta(seconds=seconds)).astimezone(_zone(zone))
        except OverflowError:
            raise CelRuntimeError("timestamp overflow") from None
        return read(at, nanos)

    return run


def _units(nanos: int) -> Callable[[Duration], Value]:
    """How many whole units a duration has."""

    def run(value: Duration) -> Value:
        count = abs(value.nanos) // nanos
        return -count if value.nanos < 0 else count

    return run


def _member(name: str, read: Callable[[datetime, int], int], unit: int = 0) -> Functions:
    run = _part(read)
    stem = name.removeprefix("get")
    rows = [
        overload(f"timestamp_to_{stem}", "timestamp.() int", run),
        overload(f"timestamp_to_{stem}_with_tz", "timestamp.(string) int", run),
    ]
    if unit:
        rows.append(overload(f"duration_to_{stem}", "duration.() int", _units(unit)))
    return {name: tuple(rows)}


FUNCTIONS: Functions = {
    **_member("getFullYear", lambda at, _: at.year),
    **_member("getMonth", lambda at, _: at.month - 1),
    **_member("getDayOfYear", lambda at, _: at.timetuple().tm_yday - 1),
    **_member("getDayOfMonth", lambda at, _: at.day - 1),
    **_member("getDate", lambda at, _: at.day),
    **_member("getDayOfWeek", lambda at, _: at.isoweekday() % 7),
    **_member("getHours", lambda at, _: at.hour, 3600 * _SECOND),
    **_member("getMinutes", lambda at, _: at.minute, 60 * _SECOND),
    **_member("getSeconds", lambda at, _: at.second, _SECOND),
    **_member("getMilliseconds", lambda _, nanos: nanos // 10**6, 10**6),
}

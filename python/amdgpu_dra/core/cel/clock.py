"""Durations and timestamps as text, and the parts of both."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from fractions import Fraction
from functools import lru_cache
from importlib.resources import files
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
_ZONE = re.compile(r"([+-]?[0-9]+):([+-]?[0-9]+)")
_CYCLE_YEARS = 400  # the calendar repeats itself
_CYCLE = timedelta(days=146_097)
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
    return moment(seconds * _SECOND + int((fraction or "0")[:9].ljust(9, "0")), offset)


def timestamp_text(value: Timestamp) -> str:
    """A moment by RFC 3339, with the fraction and the offset that it has."""
    seconds, nanos = divmod(value.nanos, _SECOND)
    at, years = _shifted(_EPOCH + timedelta(seconds=seconds), lambda at: at + timedelta(seconds=value.offset))
    text = f"{at.year + years:04}-{at.month:02}-{at.day:02}T{at.hour:02}:{at.minute:02}:{at.second:02}"
    minutes = abs(value.offset) // 60
    zone = f"{'-' if value.offset < 0 else '+'}{minutes // 60:02}:{minutes % 60:02}" if value.offset else "Z"
    return text + (f".{nanos:09}".rstrip("0") if nanos else "") + zone


def _shifted(at: datetime, shift: Callable[[datetime], datetime]) -> tuple[datetime, int]:
    """The moment on another clock, and the years to add to it where that clock is in the year 0 or 10000."""
    try:
        return shift(at), 0
    except OverflowError:
        later = 1 if at < _EPOCH else -1
        return shift(at + later * _CYCLE), -later * _CYCLE_YEARS


def _offset(name: str) -> timedelta:
    """`+02:00` as what it adds to UTC."""
    match = _ZONE.fullmatch(name)
    if match is None:
        raise CelRuntimeError(f"invalid time zone {name}")
    hours, minutes = (int(part) for part in match.groups())
    return timedelta(hours=hours, minutes=-minutes if name.startswith("-") else minutes)


@lru_cache(maxsize=128)
def _zone(name: str) -> tzinfo:
    """A zone by its name, from the package tzdata and not from the machine; components of a cluster run in UTC."""
    if name in {"", "UTC", "Local"}:
        return UTC
    if ".." in name or name.startswith(("/", "\\")) or name.endswith("/"):
        raise CelRuntimeError(f"unknown time zone {name}")
    try:
        with files("tzdata.zoneinfo").joinpath(name).open("rb") as data:
            return ZoneInfo.from_file(data, name)
    except (ValueError, OSError):
        raise CelRuntimeError(f"unknown time zone {name}") from None


def _local(at: datetime, zone: str) -> datetime:
    return at + _offset(zone) if ":" in zone else at.astimezone(_zone(zone))


def _part(read: Callable[[datetime, int], int], *, year: bool) -> Callable[..., Value]:
    """A part of a moment, in UTC or the zone that is named."""

    def run(value: Timestamp, zone: str = "UTC") -> Value:
        seconds, nanos = divmod(value.nanos, _SECOND)
        try:
            at, years = _shifted(_EPOCH + timedelta(seconds=seconds), lambda at: _local(at, zone))
        except OverflowError:
            raise CelRuntimeError(f"time zone {zone} is too far from UTC") from None
        return read(at, nanos) + (years if year else 0)

    return run


def _units(nanos: int) -> Callable[[Duration], Value]:
    """How many whole units a duration has."""

    def run(value: Duration) -> Value:
        count = abs(value.nanos) // nanos
        return -count if value.nanos < 0 else count

    return run


def _member(name: str, read: Callable[[datetime, int], int], unit: int = 0) -> Functions:
    run = _part(read, year=name == "getFullYear")
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

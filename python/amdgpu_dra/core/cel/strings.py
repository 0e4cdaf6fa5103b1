"""Functions of strings."""

import re

from amdgpu_dra.core.cel.errors import CelRuntimeError, no_such_overload
from amdgpu_dra.core.cel.overloads import Functions, overload
from amdgpu_dra.core.cel.textformat import format_text
from amdgpu_dra.core.cel.values import Value

__all__ = ["FUNCTIONS", "quote"]

_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
_UPPER = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_SPACE = "".join(
    map(chr, (*range(9, 14), 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000))
)
_QUOTED = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
    '"': '\\"',
}


def quote(text: str) -> str:
    """A string in double quotes, with escapes."""
    return '"' + re.sub(r'[\a\b\f\n\r\t\v\\"]', lambda match: _QUOTED[match.group()], text) + '"'


def _out_of_range(index: int) -> CelRuntimeError:
    return CelRuntimeError(f"index out of range: {index}")


def _char_at(text: str, index: int) -> Value:
    if not 0 <= index <= len(text):
        raise _out_of_range(index)
    return text[index : index + 1]


def _index_of(text: str, wanted: str, start: int = 0) -> Value:
    if start < 0:
        raise _out_of_range(start)
    if not wanted:
        return min(start, len(text))
    return -1 if start >= len(text) else text.find(wanted, start)


def _last_index_of(text: str, wanted: str, start: int | None = None) -> Value:
    if start is None:
        if not wanted:
            return len(text)
        if len(text.encode()) < len(wanted.encode()):
            return -1
        start = len(text) - 1
    if start < 0:
        raise _out_of_range(start)
    if not wanted:
        return min(start, len(text))
    return -1 if start >= len(text) else text.rfind(wanted, 0, start + len(wanted))


def _replace(text: str, old: str, new: str, count: int = -1) -> Value:
    return text.replace(old, new, count if count >= 0 else -1)


def _split(text: str, separator: str, count: int = -1) -> Value:
    if count == 0:
        return ()
    if separator:
        return tuple(text.split(separator, count - 1 if count > 0 else -1))
    if count < 0 or count >= len(text):
        return tuple(text)
    return (*text[: count - 1], text[count - 1 :])


def _substring(text: str, start: int, end: int | None = None) -> Value:
    if end is None:
        if not 0 <= start <= len(text):
            raise _out_of_range(start)
        return text[start:]
    if start > end:
        raise CelRuntimeError(f"invalid substring range. start: {start}, end: {end}")
    if not 0 <= start <= len(text):
        raise _out_of_range(start)
    if not 0 <= end <= len(text):
        raise _out_of_range(end)
    return text[start:end]


def _join(parts: tuple[Value, ...], separator: str = "") -> Value:
    for part in parts:
        if not isinstance(part, str):
            raise no_such_overload("join")
    return separator.join(parts)  # type: ignore[arg-type] # all are strings


def _contains(text: str, part: str) -> Value:
    return part in text


FUNCTIONS: Functions = {
    "contains": (overload("contains_string", "string.(string) bool", _contains),),
    "endsWith": (overload("ends_with_string", "string.(string) bool", str.endswith),),
    "startsWith": (overload("starts_with_string", "string.(string) bool", str.startswith),),
    "charAt": (overload("string_char_at_int", "string.(int) string", _char_at),),
    "indexOf": (
        overload("string_index_of_string", "string.(string) int", _index_of),
        overload("string_index_of_string_int", "string.(string, int) int", _index_of),
    ),
    "lastIndexOf": (
        overload("string_last_index_of_string", "string.(string) int", _last_index_of),
        overload("string_last_index_of_string_int", "string.(string, int) int", _last_index_of),
    ),
    "lowerAscii": (overload("string_lower_ascii", "string.() string", lambda text: text.translate(_LOWER)),),
    "replace": (
        overload("string_replace_string_string", "string.(string, string) string", _replace),
        overload("string_replace_string_string_int", "string.(string, string, int) string", _replace),
    ),
    "split": (
        overload("string_split_string", "string.(string) list(string)", _split),
        overload("string_split_string_int", "string.(string, int) list(string)", _split),
    ),
    "substring": (
        overload("string_substring_int", "string.(int) string", _substring),
        overload("string_substring_int_int", "string.(int, int) string", _substring),
    ),
    "trim": (overload("string_trim", "string.() string", lambda text: text.strip(_SPACE)),),
    "upperAscii": (overload("string_upper_ascii", "string.() string", lambda text: text.translate(_UPPER)),),
    "format": (overload("string_format", "string.(list(dyn)) string", format_text),),
    "strings.quote": (overload("strings_quote", "(string) string", quote),),
    "join": (
        overload("list_join", "list(string).() string", _join),
        overload("list_join_string", "list(string).(string) string", _join),
    ),
}

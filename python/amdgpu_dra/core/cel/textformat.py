"""`"%s and %d".format([…])`."""

import math
import re
from collections.abc import Iterator

from amdgpu_dra.core.cel.convert import to_string
from amdgpu_dra.core.cel.errors import CelRuntimeError
from amdgpu_dra.core.cel.values import Duration, Timestamp, TypeValue, Uint, Value, key_value, type_name

__all__ = ["clauses", "complaint", "format_text"]

_CLAUSE = re.compile(r"%(?:(?P<percent>%)|(?P<precision>\.[0-9]*)?(?P<verb>.)?)", re.DOTALL)
_VERBS = "sdfebxXo"
_PRECISION = 6
_SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_WANTED = {
    "d": ("decimal", "integers"),
    "f": ("fixed-point", "doubles"),
    "e": ("scientific", "doubles"),
    "b": ("binary", "integers and bools"),
    "x": ("hex", "integers, byte buffers, and strings"),
    "X": ("hex", "integers, byte buffers, and strings"),
    "o": ("octal", "integers"),
    "s": ("string", "strings, bools, integers, bytes, doubles, maps, lists, types, durations, and timestamps"),
}
_FLOATS = frozenset({"NaN", "Infinity", "-Infinity"})


def clauses(text: str) -> Iterator[tuple[str, str, int]]:
    """The pieces of a format: plain text with an empty verb, or a verb with its precision.

    Raises:
        CelRuntimeError: a clause is not one.
    """
    place = 0
    for match in _CLAUSE.finditer(text):
        yield text[place : match.start()], "", 0
        place = match.end()
        if match["percent"]:
            yield "%", "", 0
            continue
        verb, precision = match["verb"], match["precision"]
        if verb is None:
            raise CelRuntimeError("could not parse formatting clause: unexpected end of format string")
        if verb not in _VERBS or precision == ".":
            raise CelRuntimeError(f'could not parse formatting clause: unrecognized formatting clause "{verb}"')
        yield "", verb, int(precision[1:]) if precision else _PRECISION
    yield text[place:], "", 0


def format_text(text: str, args: tuple[Value, ...]) -> Value:
    """The text with each clause replaced by its argument."""
    out: list[str] = []
    used = 0
    for plain, verb, precision in clauses(text):
        if not verb:
            out.append(plain)
            continue
        if used >= len(args):
            raise CelRuntimeError(f"index {used} out of range")
        out.append(_format(verb, precision, args[used]))
        used += 1
    return "".join(out)


def _format(verb: str, precision: int, value: Value) -> str:
    if verb == "s":
        return _string(value)
    if verb in "fe" and (isinstance(value, float) or (isinstance(value, str) and value in _FLOATS)):
        return _float(verb, precision, float(value))
    if verb == "d" and type(value) in {int, Uint}:
        return to_string(value)
    if verb == "b" and isinstance(value, int):
        return f"{int(value):b}"
    if verb == "o" and isinstance(value, int) and not isinstance(value, bool):
        return f"{int(value):o}"
    if verb in "xX":
        return _hex(verb, value)
    raise _refused(verb, value)


def complaint(verb: str, found: str) -> str:
    """Why a clause does not take a type."""
    clause, wanted = _WANTED[verb]
    return f"error during formatting: {clause} clause can only be used on {wanted}, was given {found}"


def _refused(verb: str, value: Value) -> CelRuntimeError:
    return CelRuntimeError(complaint(verb, type_name(value)))


def _hex(verb: str, value: Value) -> str:
    if isinstance(value, str):
        text = value.encode().hex()
    elif isinstance(value, bytes):
        text = value.hex()
    elif isinstance(value, int) and not isinstance(value, bool):
        text = f"{int(value):x}"
    else:
        raise _refused(verb, value)
    return text.upper() if verb == "X" else text


def _float(verb: str, precision: int, value: float) -> str:
    """As Go prints for en_US: thousands apart, and exponents as powers of ten, whose precision sets a width."""
    if math.isnan(value):
        text = "NaN"
    elif math.isinf(value):
        text = "∞" if value > 0 else "-∞"
    elif verb == "f":
        text = f"{value:,.{precision}f}"
    else:
        mantissa, exponent = f"{value:.{_PRECISION}e}".split("e")
        text = f"{mantissa}×10{exponent.lstrip('+').translate(_SUPERSCRIPT)}"  # noqa: RUF001 (the sign is a multiplication sign)
    return text.rjust(precision) if verb == "e" else text


def _string(value: Value) -> str:
    if value is None:
        return "null"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_nested, value))}]"
    if isinstance(value, dict):
        return _map(value)
    if isinstance(value, TypeValue):
        return value.name
    try:
        return to_string(value)
    except CelRuntimeError:
        raise _refused("s", value) from None


def _map(value: dict[Value, Value]) -> str:
    pairs = []
    for raw, inner in value.items():
        key = key_value(raw)
        if isinstance(key, float):
            raise CelRuntimeError("no formatting function for map key of type double")
        pairs.append((_nested(key), _nested(inner)))
    return "{" + ", ".join(f"{key}:{inner}" for key, inner in sorted(pairs, key=lambda pair: pair[0].encode())) + "}"


def _nested(value: Value) -> str:
    """A value inside of a list or map, which says its type."""
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, bytes):
        return "b" + _quoted(to_string(value))
    if isinstance(value, float):
        text = f"{value:.{_PRECISION}f}" if math.isfinite(value) else ("NaN" if math.isnan(value) else f"{value:+}")
        return text if math.isfinite(value) else f'"{text.replace("inf", "Inf")}"'
    if isinstance(value, Timestamp):
        return f'timestamp("{to_string(value)}")'
    if isinstance(value, Duration):
        return f'duration("{to_string(value)}")'
    return _string(value)


def _quoted(text: str) -> str:
    """Go's %q: printable characters as they are."""
    simple = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
    out = []
    for char in text:
        if char in '"\\':
            out.append("\\" + char)
        elif char in simple:
            out.append(simple[char])
        elif char.isprintable():
            out.append(char)
        else:
            code = ord(char)
            out.append(f"\\x{code:02x}" if code < 128 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}")  # noqa: PLR2004 (ASCII, two bytes)
    return '"' + "".join(out) + '"'

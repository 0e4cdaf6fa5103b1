"""Tokens of constants to their values."""

from amdgpu_dra.core.cel.lexer import Token
from amdgpu_dra.core.cel.values import MAX_INT, MAX_UINT, MIN_INT, Uint

__all__ = ["read_bytes", "read_float", "read_int", "read_string", "read_uint"]

_SIMPLE = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    "'": "'",
    '"': '"',
    "`": "`",
    "?": "?",
}
_DIGITS = {"x": 2, "X": 2, "u": 4, "U": 8}
_LAST_CODE_POINT = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)


def read_int(token: Token, *, negative: bool = False) -> int:
    """A whole number; raises ValueError outside of 64 bits."""
    value = int(token.text, 16 if token.text.startswith("0x") else 10)
    value = -value if negative else value
    if not MIN_INT <= value <= MAX_INT:
        raise ValueError("invalid int literal")
    return value


def read_uint(token: Token) -> Uint:
    """An unsigned number; raises ValueError outside of 64 bits."""
    text = token.text[:-1]
    value = int(text, 16 if text.startswith("0x") else 10)
    if value > MAX_UINT:
        raise ValueError("invalid uint literal")
    return Uint(value)


def read_float(token: Token, *, negative: bool = False) -> float:
    """A floating-point number; raises ValueError where it is too large."""
    value = float(token.text)
    if value == float("inf"):
        raise ValueError("invalid double literal")
    return -value if negative else value


def read_string(token: Token) -> str:
    """A string without its quotes and escapes; raises ValueError for an escape that names no character."""
    body, raw = _body(token.text)
    return body if raw else "".join(_pieces(body))


def read_bytes(token: Token) -> bytes:
    """Bytes: characters as UTF-8, but escapes of two digits and octal ones as one byte."""
    body, raw = _body(token.text[1:])
    if raw:
        return body.encode()
    out = bytearray()
    for piece, single in _escapes(body):
        out += bytes([ord(piece)]) if single else piece.encode()
    return bytes(out)


def _body(text: str) -> tuple[str, bool]:
    """What is between the quotes, and whether backslashes stand for themselves."""
    raw = text[0] in "rR"
    text = text[1:] if raw else text
    quotes = 3 if len(text) >= 6 and text[:3] in {'"""', "'''"} else 1  # noqa: PLR2004 (two times three quotes)
    body = text[quotes:-quotes]
    return body.replace("\r\n", "\n").replace("\r", "\n"), raw


def _pieces(body: str) -> list[str]:
    return [piece for piece, _ in _escapes(body)]


def _escapes(body: str) -> list[tuple[str, bool]]:
    """The characters of a string, and whether each was written as one byte."""
    out: list[tuple[str, bool]] = []
    place = 0
    while place < len(body):
        if body[place] != "\\":
            out.append((body[place], False))
            place += 1
            continue
        mark = body[place + 1]
        if mark in _SIMPLE:
            out.append((_SIMPLE[mark], False))
            place += 2
        elif mark in _DIGITS:
            end = place + 2 + _DIGITS[mark]
            out.append((_character(int(body[place + 2 : end], 16)), mark in "xX"))
            place = end
        else:
            out.append((chr(int(body[place + 1 : place + 4], 8)), True))
            place += 4
    return out


def _character(code: int) -> str:
    if code > _LAST_CODE_POINT or code in _SURROGATES:
        raise ValueError("invalid unicode code point")
    return chr(code)

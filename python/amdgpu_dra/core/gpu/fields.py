"""Reads single values out of a tree and keeps account of what cannot be read."""

from collections.abc import Callable

from amdgpu_dra.core.gpu.inventory import Problem
from amdgpu_dra.core.gpu.tree import TreeText, Unreadable

# The kernel writes these where it has no value.
_NO_VALUE = frozenset({"", "(null)", "Unknown", "UNKNOWN", "Not supported", "unknown"})
_LONGEST = 1 << 16
# More than any 64-bit number has. Python refuses numbers of thousands of digits, and is slow with those before.
_MOST_DIGITS = 40


class Reader:
    """Values of one tree; every file that is there and cannot be used becomes a problem."""

    def __init__(self, tree: TreeText) -> None:
        self.tree = tree
        self.problems: list[Problem] = []

    def note(self, path: str, reason: str, costs: str, *, errno: str = "") -> None:
        """Records a problem."""
        self.problems.append(Problem(path=path, reason=reason, costs=costs, errno=errno))

    def find_text(self, path: str, costs: str) -> str | None:
        """The stripped text of a file; None if it is absent, unreadable, or says that there is no value."""
        text = self.tree.find(path)
        if text is None:
            return None
        if isinstance(text, Unreadable):
            self.note(path, f"cannot be read: {text.errno}", costs, errno=text.errno)
            return None
        stripped = text.strip()
        if len(text) > _LONGEST or (not stripped.isprintable() and "\n" not in stripped):
            self.note(path, "is not a short printable text", costs)
            return None
        return None if stripped in _NO_VALUE else stripped

    def find[T](self, path: str, costs: str, convert: Callable[[str], T]) -> T | None:
        """The text of a file as `convert` reads it; a ValueError of it is a problem."""
        text = self.find_text(path, costs)
        if text is None:
            return None
        try:
            return convert(text)
        except ValueError as error:
            self.note(path, f"{text[:64]!r}: {error}", costs)
            return None

    def find_properties(self, path: str, costs: str) -> dict[str, int] | None:
        """A KFD `properties` file: `name value` a line, unsigned decimals. A bad line costs only itself."""
        text = self.find_text(path, costs)
        if text is None:
            return None
        values: dict[str, int] = {}
        for line in text.splitlines():
            name, _, value = line.strip().partition(" ")
            if value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS:
                values[name] = int(value)
            elif name:
                self.note(path, f"line {line[:64]!r}: expected a name and an unsigned decimal", f"{costs}: {name[:64]}")
        return values


def decimal(text: str) -> int:
    """A plain integer, `-1` included; nothing else that Python would take."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS):
        raise ValueError("expected a decimal number")
    return int(text)


def positive(text: str) -> int:
    """A decimal above zero."""
    value = decimal(text)
    if value <= 0:
        raise ValueError("expected a number above zero")
    return value


def size(text: str) -> int:
    """A decimal from zero up: an APU without memory of its own says 0."""
    value = decimal(text)
    if value < 0:
        raise ValueError("expected a number of bytes")
    return value


def hexadecimal_id(text: str) -> str:
    """A PCI id as sysfs writes it: `0x74a1`."""
    if not (text.startswith("0x") and len(text) <= 10):  # noqa: PLR2004 - 0x and at most eight digits
        raise ValueError("expected a hexadecimal id such as 0x74a1")
    int(text, 16)
    return text.lower()


def modes(text: str) -> tuple[str, ...]:
    """A list of modes: `SPX, DPX, QPX, CPX`."""
    found = tuple(word.strip().upper() for word in text.split(","))
    if not all(word.isalnum() and len(word) <= 8 for word in found):  # noqa: PLR2004 - no mode has a longer name
        raise ValueError("expected names of modes with commas between them")
    return found


def mode(text: str) -> str:
    """One mode: `SPX`."""
    found = modes(text)
    if len(found) != 1:
        raise ValueError("expected one mode")
    return found[0]


def device_number(text: str) -> tuple[int, int]:
    """Major and minor: `226:128`."""
    major, _, minor = text.partition(":")
    return positive(major), decimal(minor)

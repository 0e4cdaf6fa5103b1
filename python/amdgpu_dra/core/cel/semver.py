"""Semantic versions as values."""

import re
from dataclasses import dataclass

from amdgpu_dra.core.cel.errors import CelRuntimeError
from amdgpu_dra.core.cel.overloads import Functions, overload
from amdgpu_dra.core.cel.values import MAX_UINT, Opaque, Value

__all__ = ["FUNCTIONS", "Semver", "read_semver"]

_DIGITS = re.compile(r"[0-9]*")
_WORD = re.compile(r"[0-9A-Za-z-]+")
_PARTS = 3

# A numeric part of a pre-release sorts before a word, and both by value.
type Part = tuple[int, int, str]


@dataclass(frozen=True, slots=True, eq=False)
class Semver(Opaque):
    """A version; `order` decides which is greater, `text` is its form."""

    text: str
    numbers: tuple[int, int, int]
    order: tuple[int, int, int, bool, tuple[Part, ...]]
    type_name = "kubernetes.Semver"

    def same(self, other: Opaque) -> bool:
        """Whether both are one version, build metadata left aside."""
        return isinstance(other, Semver) and self.order == other.order


def read_semver(text: str) -> Semver:
    """A version from its text.

    Raises:
        CelRuntimeError: not a semantic version.
    """
    if not text:
        raise CelRuntimeError("Version string empty")
    parts = text.split(".", _PARTS - 1)
    if len(parts) != _PARTS:
        raise CelRuntimeError("No Major.Minor.Patch elements found")
    rest, plus, build = parts[2].partition("+")
    patch, dash, release = rest.partition("-")
    major, minor, last = (
        _number(part, name) for part, name in zip((parts[0], parts[1], patch), ("major", "minor", "patch"), strict=True)
    )
    pre = tuple(map(_pre_release, release.split("."))) if dash else ()
    for word in build.split(".") if plus else ():
        if not _WORD.fullmatch(word):
            raise CelRuntimeError(
                f'Invalid character(s) found in build meta data "{word}"' if word else "Build meta data is empty"
            )
    shown = f"{major}.{minor}.{last}" + dash + release + plus + build
    return Semver(shown, (major, minor, last), (major, minor, last, not pre, pre))


def _number(text: str, name: str) -> int:
    if not _DIGITS.fullmatch(text):
        raise CelRuntimeError(f'Invalid character(s) found in {name} number "{text}"')
    if len(text) > 1 and text.startswith("0"):
        raise CelRuntimeError(f'{name.capitalize()} number must not contain leading zeroes "{text}"')
    return _small(text)


def _small(text: str) -> int:
    if not text or int(text) > MAX_UINT:
        raise CelRuntimeError(
            f'strconv.ParseUint: parsing "{text}": {"value out of range" if text else "invalid syntax"}'
        )
    return int(text)


def _pre_release(text: str) -> Part:
    if not text:
        raise CelRuntimeError("Prerelease is empty")
    if _DIGITS.fullmatch(text):
        if len(text) > 1 and text.startswith("0"):
            raise CelRuntimeError(f'Numeric PreRelease version must not contain leading zeroes "{text}"')
        return (0, _small(text), "")
    if not _WORD.fullmatch(text):
        raise CelRuntimeError(f'Invalid character(s) found in prerelease "{text}"')
    return (1, 0, text)


def _normalized(text: str) -> str:
    """Without a leading v and leading zeros, with the parts that a short version lacks."""
    parts = [_without_zeros(part) for part in text.removeprefix("v").split(".", _PARTS - 1)]
    if len(parts) < _PARTS and re.search("[+-]", parts[-1]):
        raise CelRuntimeError("short version cannot contain PreRelease/Build meta data")
    return ".".join(parts + ["0"] * (_PARTS - len(parts)))


def _without_zeros(part: str) -> str:
    if len(part) <= 1:
        return part
    stripped = part.lstrip("0")
    return stripped if stripped[:1] in set("0123456789") else "0" + stripped


def _read(text: str, normalize: bool = False) -> Value:  # noqa: FBT001, FBT002 (called by position, as the function is)
    return read_semver(_normalized(text) if normalize else text)


def _is_semver(text: str, normalize: bool = False) -> Value:  # noqa: FBT001, FBT002 (as above)
    try:
        _read(text, normalize)
    except CelRuntimeError:
        return False
    return True


def _part(place: int) -> object:
    def run(value: Semver) -> Value:
        number = value.numbers[place]
        return number - (1 << 64) if number >= 1 << 63 else number

    return run


FUNCTIONS: Functions = {
    "semver": (
        overload("string_to_semver", "(string) Semver", _read),
        overload("string_bool_to_semver", "(string, bool) Semver", _read),
    ),
    "isSemver": (
        overload("is_semver_string", "(string) bool", _is_semver),
        overload("is_semver_string_bool", "(string, bool) bool", _is_semver),
    ),
    "isGreaterThan": (
        overload("semver_is_greater_than", "Semver.(Semver) bool", lambda one, two: one.order > two.order),
    ),
    "isLessThan": (overload("semver_is_less_than", "Semver.(Semver) bool", lambda one, two: one.order < two.order),),
    "compareTo": (
        overload(
            "semver_compare_to",
            "Semver.(Semver) int",
            lambda one, two: (one.order > two.order) - (one.order < two.order),
        ),
    ),
    "major": (overload("semver_major", "Semver.() int", _part(0)),),  # type: ignore[arg-type] # a function of the version
    "minor": (overload("semver_minor", "Semver.() int", _part(1)),),  # type: ignore[arg-type] # a function of the version
    "patch": (overload("semver_patch", "Semver.() int", _part(2)),),  # type: ignore[arg-type] # a function of the version
}

"""Regular expressions as Go's RE2 takes them."""

import re
from functools import lru_cache

from amdgpu_dra.core.cel.errors import CelRuntimeError
from amdgpu_dra.core.cel.overloads import Functions, overload
from amdgpu_dra.core.cel.re2 import BadPattern, translate
from amdgpu_dra.core.cel.stack import deep
from amdgpu_dra.core.cel.values import Value

__all__ = ["FUNCTIONS", "compile_pattern"]


@lru_cache(maxsize=1024)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The compiled pattern.

    Raises:
        CelRuntimeError: RE2 does not take it.
    """
    try:
        return deep(lambda: re.compile(translate(pattern)))
    except (BadPattern, re.error, OverflowError, RecursionError) as fault:
        raise CelRuntimeError(f"error parsing regexp: {fault}") from None


def _matches(text: str, pattern: str) -> Value:
    return compile_pattern(pattern).search(text) is not None


def _find(text: str, pattern: str) -> Value:
    match = compile_pattern(pattern).search(text)
    return match.group() if match else ""


def _find_all(text: str, pattern: str, count: int = -1) -> Value:
    """At most `count` matches; an empty one right after another match does not count."""
    compiled = compile_pattern(pattern)
    found: list[str] = []
    place, last = 0, -1
    while place <= len(text) and not 0 <= count <= len(found):
        match = compiled.search(text, place)
        if match is None:
            break
        if match.end() > place or match.start() != last:
            found.append(match.group())
        place = max(match.end(), place + 1) if match.end() == place else match.end()
        last = match.end()
    return tuple(found)


FUNCTIONS: Functions = {
    "matches": (
        overload("matches", "(string, string) bool", _matches),
        overload("matches_string", "string.(string) bool", _matches),
    ),
    "find": (overload("string_find_string", "string.(string) string", _find),),
    "findAll": (
        overload("string_find_all_string", "string.(string) list(string)", _find_all),
        overload("string_find_all_string_int", "string.(string, int) list(string)", _find_all),
    ),
}

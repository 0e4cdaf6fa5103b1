"""How a function is declared: its overloads, each with types and what it does."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from amdgpu_dra.core.cel.kinds import CelType, read_type
from amdgpu_dra.core.cel.values import Value

__all__ = ["Functions", "Overload", "overload"]

type Run = Callable[..., Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overload:
    """One way to call a function; `params` begins with the target of a member call."""

    id: str
    params: tuple[CelType, ...]
    result: CelType
    member: bool
    run: Run


type Functions = dict[str, tuple[Overload, ...]]

_SIGNATURE = re.compile(r"(?:(?P<target>[\w(), ]+)\.)?\((?P<args>.*?)\) (?P<result>[\w(), ]+)")


def overload(name: str, signature: str, run: Run) -> Overload:
    """One overload; the signature is `(string, int) bool`, with `list(T).` before it for a member call."""
    match = _SIGNATURE.fullmatch(signature)
    if match is None:
        raise ValueError(f"expected a signature such as `string.(int) bool`, found {signature!r}")
    target, args = match["target"], match["args"]
    words = ([target] if target else []) + ([args] if args else [])
    params = tuple(read_type(word) for word in _split(", ".join(words)))
    return Overload(id=name, params=params, result=read_type(match["result"]), member=bool(target), run=run)


def _split(text: str) -> list[str]:
    """The arguments, commas inside of parentheses left alone."""
    parts, depth = [""], 0
    for char in text:
        depth += {"(": 1, ")": -1}.get(char, 0)
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts if part.strip()]

"""What can go wrong with an expression: at compile time, or on one device."""

from dataclasses import dataclass

__all__ = ["CelCompileError", "CelError", "CelRuntimeError", "Issue", "no_such_overload"]


class CelError(Exception):
    """An expression cannot be used; the text says where, what was found and, where known, what was expected."""


class CelCompileError(CelError):
    """The expression is refused before any device is looked at."""


class CelRuntimeError(CelError):
    """The expression failed on this device; for the scheduler that is fatal for the whole attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """One fault of an expression; `at` counts characters from its start."""

    at: int
    text: str

    def render(self, source: str) -> str:
        """The fault as `line:column`, its line and a mark below the place."""
        before = source[: self.at]
        line = before.count("\n")
        column = self.at - (before.rfind("\n") + 1)
        shown = source.split("\n")[line]
        if len(shown) > _LONGEST_LINE:
            return f"ERROR: <input>:{line + 1}:{column + 1}: {self.text}"
        return f"ERROR: <input>:{line + 1}:{column + 1}: {self.text}\n | {shown}\n | {'.' * column}^"


_LONGEST_LINE = 1000


def no_such_overload(function: str = "") -> CelRuntimeError:
    """The error of a function or operator that does not know its arguments' types."""
    return CelRuntimeError(f"no such overload: {function}" if function else "no such overload")

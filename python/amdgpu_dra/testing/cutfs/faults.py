"""What a disk is told to do wrong."""

from dataclasses import dataclass
from fnmatch import fnmatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A change that was asked for: its number from 1 on, what, and of which path."""

    number: int
    verb: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """An errno for operations of these verbs on paths of this pattern, at the first `times` of them; None for ever."""

    errno: int
    verbs: frozenset[str]
    path: str = "*"
    times: int | None = None

    def meets(self, verb: str, path: str) -> bool:
        """Whether it is meant."""
        return verb in self.verbs and fnmatch(path, self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Ends who asks for the n-th change, before or after it is made."""

    number: int
    after: bool

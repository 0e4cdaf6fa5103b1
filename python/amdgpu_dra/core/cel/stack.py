"""Room on Python's stack for deep expressions."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

__all__ = ["deep_stack"]

_DEEPEST_STACK = 20_000


class _Room:
    """Python has one limit for all threads: the first who needs more raises it, the last who did restores it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._users = 0
        self._before = 0

    def enter(self) -> None:
        with self._lock:
            if self._users == 0:
                self._before = sys.getrecursionlimit()
                sys.setrecursionlimit(max(self._before, _DEEPEST_STACK))
            self._users += 1

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                sys.setrecursionlimit(self._before)


_ROOM = _Room()


@contextmanager
def deep_stack() -> Iterator[None]:
    """Room for expressions as deep as the parser's limit allows; for any number of threads, and nested."""
    _ROOM.enter()
    try:
        yield
    finally:
        _ROOM.leave()

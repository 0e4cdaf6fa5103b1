"""Room on Python's stack for deep expressions."""

import sys
from collections.abc import Callable

__all__ = ["deep"]

_DEEPEST_STACK = 20_000


def deep[T](run: Callable[[], T]) -> T:
    """The result of a function without effects, which is run once more with room if Python's stack is too short for it.

    Python has one limit for all threads. It is raised by the first expression that needs it and never lowered, so that
    no thread takes from another what that one needs.

    Raises:
        RecursionError: what is run is deeper than any expression.
    """
    try:
        return run()
    except RecursionError:
        sys.setrecursionlimit(max(sys.getrecursionlimit(), _DEEPEST_STACK))
    return run()

"""A flag as a row of a table, and how values are read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

_TRUE, _FALSE = {"true", "1", "t"}, {"false", "0", "f"}
_DAY = 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """A row: name, environment variable, type, default and help. `inert` ones are taken and change nothing.

    `read` turns a text into the value, or raises a ValueError whose text says what is expected.
    """

    name: str
    env: str
    read: Callable[[str], Any]
    default: Any
    help: str
    inert: bool = False


def read_bool(text: str) -> bool:
    """As Go reads a bool."""
    if text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    raise ValueError("true or false")


def read_int(text: str) -> int:
    """A whole number."""
    try:
        return int(text)
    except ValueError:
        raise ValueError("a whole number") from None


def read_seconds(text: str) -> float:
    """`5` or `5s`: above 0 and below a day."""
    try:
        value = float(text.removesuffix("s"))
    except ValueError:
        raise ValueError("a number of seconds") from None
    if not 0 < value < _DAY:
        raise ValueError("a number of seconds above 0")
    return value


def read_absolute(text: str) -> str:
    """A path from the root, without a slash at its end."""
    if not text.startswith("/"):
        raise ValueError("an absolute path")
    return text.rstrip("/") or "/"


def read_format(text: str) -> str:
    """A form of log lines."""
    if text not in {"text", "json"}:
        raise ValueError("text or json")
    return text


KUBECONFIG: Final = Flag(
    name="kubeconfig",
    env="KUBECONFIG",
    read=str,
    default="",
    help="credentials for the API server; empty: those of the pod",
)
LOGGING_FORMAT: Final = Flag(
    name="logging-format", env="LOGGING_FORMAT", read=read_format, default="text", help="text or json"
)

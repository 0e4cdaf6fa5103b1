"""The types that the checker computes with, written as text: `list(string)`, `map(K, V)`, `Quantity`."""

import re
from dataclasses import dataclass

__all__ = [
    "ANY",
    "BOOL",
    "BYTES",
    "DEVICE",
    "DOUBLE",
    "DURATION",
    "DYN",
    "ERROR",
    "INT",
    "NULL",
    "STRING",
    "TIMESTAMP",
    "UINT",
    "CelType",
    "list_of",
    "map_of",
    "optional_of",
    "read_type",
    "type_of",
]


@dataclass(frozen=True, slots=True)
class CelType:
    """One type. `kind` is its class: a scalar's name, list, map, type, opaque, struct, param, dyn, any, error."""

    kind: str
    name: str
    params: "tuple[CelType, ...]" = ()

    @property
    def is_dyn(self) -> bool:
        """Whether it says nothing about the value."""
        return self.kind in {"dyn", "any"}

    def __str__(self) -> str:
        if not self.params:
            return self.name
        return f"{self.name}({', '.join(map(str, self.params))})"


def _scalar(name: str, shown: str | None = None) -> CelType:
    return CelType(name, shown or name)


BOOL, INT, UINT, DOUBLE, STRING, BYTES = map(_scalar, ("bool", "int", "uint", "double", "string", "bytes"))
NULL = _scalar("null", "null")
DYN, ANY, ERROR = _scalar("dyn"), _scalar("any"), _scalar("error", "!error!")
DURATION = _scalar("duration", "google.protobuf.Duration")
TIMESTAMP = _scalar("timestamp", "google.protobuf.Timestamp")
DEVICE = CelType("struct", "kubernetes.DRADevice")

_NAMED = {
    **{kind.kind: kind for kind in (BOOL, INT, UINT, DOUBLE, STRING, BYTES, NULL, DYN, DURATION, TIMESTAMP)},
    **{name: CelType("struct", f"kubernetes.{name}") for name in ("Quantity", "Semver", "URL", "NamedFormat")},
    **{name: CelType("opaque", f"net.{name}") for name in ("IP", "CIDR")},
    **{
        name: CelType("struct", f"kubernetes.authorization.{name}")
        for name in ("Authorizer", "PathCheck", "GroupCheck", "ResourceCheck", "Decision")
    },
}


def list_of(element: CelType) -> CelType:
    """The type of a list."""
    return CelType("list", "list", (element,))


def map_of(key: CelType, value: CelType) -> CelType:
    """The type of a map."""
    return CelType("map", "map", (key, value))


def optional_of(value: CelType) -> CelType:
    """The type of an optional."""
    return CelType("opaque", "optional_type", (value,))


def type_of(value: CelType) -> CelType:
    """The type of a type."""
    return CelType("type", "type", (value,))


_MAKERS = {"list": list_of, "optional": optional_of, "type": type_of}
_WORD = re.compile(r"\s*(\w+|[(),])")


def read_type(text: str) -> CelType:
    """A type from its text; a name of one capital letter is a parameter."""
    words = _WORD.findall(text)
    found, rest = _read(words)
    if rest:
        raise ValueError(f"expected a type, found {text!r}")
    return found


def _read(words: list[str]) -> tuple[CelType, list[str]]:
    name, rest = words[0], words[1:]
    params: list[CelType] = []
    if rest and rest[0] == "(":
        while rest[0] != ")":
            param, rest = _read(rest[1:])
            params.append(param)
        rest = rest[1:]
    if name == "map":
        return map_of(*params), rest
    if name in _MAKERS:
        return _MAKERS[name](*params), rest
    if len(name) == 1:
        return CelType("param", name), rest
    return _NAMED[name], rest

"""Whether a value is of a type, for calls whose arguments' types are known only when they are run."""

from collections.abc import Callable

from amdgpu_dra.core.cel.assign import is_wide
from amdgpu_dra.core.cel.kinds import CelType
from amdgpu_dra.core.cel.values import (
    DomainMap,
    Duration,
    Optional,
    Timestamp,
    TypeValue,
    Uint,
    Value,
    key_value,
    type_name,
)

__all__ = ["Guard", "guard", "known"]

type Guard = Callable[[Value], bool]

_CLASSES: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "uint": (Uint,),
    "double": (float,),
    "string": (str,),
    "bytes": (bytes,),
    "null": (type(None),),
    "list": (tuple,),
    "map": (dict, DomainMap),
    "duration": (Duration,),
    "timestamp": (Timestamp,),
    "type": (TypeValue,),
}


def known(kind: CelType) -> bool:
    """Whether the checker's word suffices: nothing in the type is left open."""
    return not is_wide(kind) and kind.kind != "param" and all(map(known, kind.params))


def guard(kind: CelType) -> Guard | None:
    """A test of values; None where every value passes. Lists and maps are judged by their first element, as in Go."""
    if is_wide(kind) or kind.kind == "param":
        return None
    inner = [guard(param) for param in kind.params]
    classes = frozenset(_CLASSES.get(kind.kind, ()))
    if kind.name == "optional_type":
        return lambda value: isinstance(value, Optional)
    if not classes:
        return lambda value: type_name(value) == kind.name
    if kind.kind in {"list", "map"} and any(inner):
        return _nested(classes, inner)
    return lambda value: type(value) in classes


def _nested(classes: frozenset[type], inner: list[Guard | None]) -> Guard:
    def run(value: Value) -> bool:
        if type(value) not in classes:
            return False
        if isinstance(value, dict):
            first = next(((key_value(key), item) for key, item in value.items()), None)
        else:
            assert isinstance(value, tuple)  # noqa: S101 (the other class of the two)
            first = value[:1] or None
        return first is None or all(test is None or test(item) for test, item in zip(inner, first, strict=True))

    return run

"""Reading an element of a list or map, with and without the question mark."""

from amdgpu_dra.core.cel.convert import to_string
from amdgpu_dra.core.cel.errors import CelRuntimeError, no_such_overload
from amdgpu_dra.core.cel.values import Uint, Value, contains, map_key, type_name

__all__ = ["element", "has_element", "is_in", "missing_key"]


def missing_key(key: Value) -> CelRuntimeError:
    """The error of a key that a map does not have."""
    return CelRuntimeError(f"no such key: {_shown(key)}")


def _shown(key: Value) -> str:
    try:
        return to_string(key)
    except CelRuntimeError:
        return str(key)


def element(target: Value, key: Value) -> Value:
    """`target[key]`; a value that is neither list nor map has no key.

    Raises:
        CelRuntimeError: it has no such element.
    """
    if isinstance(target, dict):
        try:
            return target[key if type(key) is str else map_key(key)]
        except (KeyError, CelRuntimeError):
            raise missing_key(key) from None
    if isinstance(target, tuple):
        place = _place(key)
        if not 0 <= place < len(target):
            raise CelRuntimeError(f"index out of bounds: {place}")
        return target[place]
    raise missing_key(key)


def _place(key: Value) -> int:
    if type(key) is int or type(key) is Uint:
        return key
    if isinstance(key, float) and key.is_integer():
        return int(key)
    raise CelRuntimeError(f"unsupported index type '{type_name(key)}' in list")


def has_element(target: Value, key: Value) -> bool:
    """Whether `target[key]` is there, as `has` and `?` ask; raises for a list's index that is no number."""
    if isinstance(target, dict):
        return type(target) is not dict or _has_key(target, key)
    return isinstance(target, tuple) and 0 <= _place(key) < len(target)


def _has_key(target: dict[Value, Value], key: Value) -> bool:
    try:
        return (key if type(key) is str else map_key(key)) in target
    except CelRuntimeError:
        return False


def is_in(wanted: Value, target: Value) -> Value:
    """`wanted in target`.

    Raises:
        CelRuntimeError: neither list nor map.
    """
    if isinstance(target, tuple):
        return contains(target, wanted)
    if isinstance(target, dict):
        return _has_key(target, wanted)
    raise no_such_overload()

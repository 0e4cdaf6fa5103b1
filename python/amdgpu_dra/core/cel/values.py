"""The values that expressions compute with, their types' names, and equality between any two of them.

bool, int, float, str, bytes and None stand for themselves, a tuple for a list, a dict for a map (its keys as `map_key`
makes them). An `int` is CEL's signed one; unsigned numbers are `Uint`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from amdgpu_dra.core.cel.errors import CelRuntimeError, no_such_overload

__all__ = [
    "MAX_INT",
    "MAX_UINT",
    "MIN_INT",
    "NONE",
    "BoolKey",
    "DomainMap",
    "Duration",
    "Message",
    "Opaque",
    "Optional",
    "Timestamp",
    "TypeValue",
    "Uint",
    "Value",
    "contains",
    "equal",
    "key_value",
    "map_key",
    "size_of",
    "type_name",
    "unlike",
]

type Value = object

MAX_INT, MIN_INT, MAX_UINT = 2**63 - 1, -(2**63), 2**64 - 1


class Uint(int):
    """An unsigned 64-bit number."""

    __slots__ = ()


class Opaque:
    """A value of a type that Kubernetes adds, named `type_name`; comparing it with another type is an error."""

    __slots__ = ()
    type_name = ""

    def same(self, other: "Opaque") -> bool:
        """Whether both, of one type, are equal."""
        return self == other

    def size(self) -> int | None:
        """The size that cost is counted by; None for those that have none."""
        return None


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time in nanoseconds."""

    nanos: int


@dataclass(frozen=True, slots=True)
class Timestamp:
    """A moment, in nanoseconds since 1970 UTC; as text it has the offset that it was written with, in seconds."""

    nanos: int
    offset: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class TypeValue:
    """A type as a value, as `type(x)` gives it."""

    name: str


@dataclass(frozen=True, slots=True)
class Optional:
    """A value that may be absent."""

    value: Value
    present: bool = True


NONE = Optional(None, present=False)


@dataclass(frozen=True, slots=True)
class Message:
    """A struct that was built by name."""

    name: str
    fields: Mapping[str, Value] = field(hash=False)


class BoolKey:
    """The key true or false of a map, apart from the numbers that Python holds equal to them."""

    __slots__ = ("value",)

    def __init__(self, *, value: bool) -> None:
        self.value = value


_TRUE, _FALSE = BoolKey(value=True), BoolKey(value=False)


class DomainMap(dict[Value, Value]):
    """`device.attributes` or `device.capacity`: a domain that is not there reads as an empty map."""

    __slots__ = ()

    def __missing__(self, key: Value) -> Value:
        return _EMPTY


_EMPTY: dict[Value, Value] = {}


def map_key(key: Value) -> Value:
    """The key of a dict that stands for a key of a map; numbers of one value are one key.

    Raises:
        CelRuntimeError: values of this type cannot be keys.
    """
    kind = type(key)
    if kind is str or kind is int or kind is Uint:
        return key
    if kind is bool:
        return _TRUE if key else _FALSE
    if isinstance(key, float):
        return int(key) if key == key and key.is_integer() else key  # noqa: PLR0124 (NaN)
    raise CelRuntimeError(f"unsupported key type: {type_name(key)}")


def key_value(key: Value) -> Value:
    """The value of a dict's key."""
    return key.value if type(key) is BoolKey else key


_NAMES: dict[type, str] = {
    bool: "bool",
    int: "int",
    Uint: "uint",
    float: "double",
    str: "string",
    bytes: "bytes",
    type(None): "null_type",
    tuple: "list",
    dict: "map",
    DomainMap: "map",
    Duration: "google.protobuf.Duration",
    Timestamp: "google.protobuf.Timestamp",
    TypeValue: "type",
    Optional: "optional_type",
}


def type_name(value: Value) -> str:
    """The name of a value's type."""
    name = _NAMES.get(type(value))
    if name is not None:
        return name
    return value.name if isinstance(value, Message) else getattr(value, "type_name", "unknown")


def size_of(value: Value) -> int:
    """What cost is counted by: characters, bytes or elements; 1 for what has no size, an absent optional too."""
    if isinstance(value, (str, bytes, tuple, dict)):
        return len(value)
    if isinstance(value, Opaque):
        size = value.size()
        return 1 if size is None else size
    return 1


_ATOMS = frozenset({bool, str, bytes, type(None), int, Uint, Duration, Timestamp, TypeValue, float})


def equal(left: Value, right: Value) -> bool:
    """Whether two values are equal; of different types they are not, numbers excepted.

    Raises:
        CelRuntimeError: a type that Kubernetes adds, compared with another type.
    """
    kind, other = type(left), type(right)
    if kind is other and kind in _ATOMS:
        return left == right
    if left is None or right is None:
        return left is right
    compare = _EQUAL.get(kind)
    if compare is not None:
        return compare(left, right)
    if isinstance(left, Opaque):
        return _equal_opaque(left, right)
    return kind is other and left == right


def _equal_numbers(left: Value, right: Value) -> bool:
    if type(right) not in _NUMBERS:
        return False
    if isinstance(left, float) or isinstance(right, float):
        return float(left) == float(right)  # type: ignore[arg-type] # both are numbers
    return left == right


def _equal_lists(left: Value, right: Value) -> bool:
    """Elements that cannot be compared count as equal, as they do in Go."""
    if not isinstance(left, tuple) or not isinstance(right, tuple) or len(left) != len(right):
        return False
    return not any(_differ(one, two) for one, two in zip(left, right, strict=True))


def _equal_maps(left: Value, right: Value) -> bool:
    if not isinstance(left, dict) or not isinstance(right, dict) or len(left) != len(right):
        return False
    if type(right) is DomainMap:
        return not any(_differ(value, right[key]) for key, value in left.items())
    return all(key in right and not _differ(value, right[key]) for key, value in left.items())


def _equal_optionals(left: Value, right: Value) -> bool:
    if not isinstance(left, Optional) or not isinstance(right, Optional):
        return False
    if not left.present or not right.present:
        return left.present == right.present
    return equal(left.value, right.value)


def _equal_opaque(left: Opaque, right: Value) -> bool:
    if not isinstance(right, Opaque) or right.type_name != left.type_name:
        raise no_such_overload()
    return left.same(right)


def _differ(left: Value, right: Value) -> bool:
    try:
        return not equal(left, right)
    except CelRuntimeError:
        return False


def unlike(left: Value, right: Value) -> bool:
    """`left != right`, which also holds of what cannot be compared."""
    try:
        return not equal(left, right)
    except CelRuntimeError:
        return True


_NUMBERS = frozenset({int, Uint, float})
_EQUAL: dict[type, Callable[[Value, Value], bool]] = {
    int: _equal_numbers,
    Uint: _equal_numbers,
    float: _equal_numbers,
    tuple: _equal_lists,
    dict: _equal_maps,
    DomainMap: _equal_maps,
    Optional: _equal_optionals,
}


def contains(values: tuple[Value, ...], wanted: Value) -> bool:
    """Whether a list holds a value; elements that cannot be compared do not count."""
    for value in values:
        try:
            if equal(wanted, value):
                return True
        except CelRuntimeError:
            continue
    return False

"""Reads fields of JSON objects and says where a wrong one stands."""

from collections.abc import Callable, Mapping, Sequence
from typing import overload

from amdgpu_dra.core.allocate.quantity import ZERO, Quantity, parse_quantity

EMPTY: Mapping[str, object] = {}


class DecodeError(ValueError):
    """An object is not of the form that the API server would accept; `str()` says where, expected and found."""

    def __init__(self, path: str, expected: str, found: object) -> None:
        super().__init__(f"{path}: expected {expected}, found {found!r}")
        self.path = path


class Fields:
    """A JSON object at a path.

    Every reader treats an absent field and null alike and raises DecodeError for one of another kind.
    """

    __slots__ = ("path", "raw")

    def __init__(self, raw: object, path: str) -> None:
        if raw is None:
            raw = EMPTY
        if not isinstance(raw, Mapping):
            raise DecodeError(path, "an object", raw)
        self.raw: Mapping[str, object] = raw
        self.path = path

    def has(self, key: str) -> bool:
        """Whether the field is there and not null."""
        return self.raw.get(key) is not None

    def child(self, key: str) -> "Fields":
        """An object; an absent one is empty."""
        return Fields(self.raw.get(key), f"{self.path}.{key}")

    def text(self, key: str, default: str = "") -> str:
        """A string."""
        value = self.raw.get(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise DecodeError(f"{self.path}.{key}", "a string", value)
        return value

    @overload
    def flag(self, key: str, default: bool) -> bool: ...  # noqa: FBT001
    @overload
    def flag(self, key: str, default: None) -> bool | None: ...
    def flag(self, key: str, default: bool | None) -> bool | None:  # noqa: FBT001
        """A bool."""
        value = self.raw.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise DecodeError(f"{self.path}.{key}", "true or false", value)
        return value

    def number(self, key: str, default: int = 0) -> int:
        """A whole number."""
        value = self.raw.get(key)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool):
            raise DecodeError(f"{self.path}.{key}", "a whole number", value)
        return value

    def items(self, key: str) -> Sequence[object]:
        """A list; an absent one is empty."""
        value = self.raw.get(key)
        if value is None:
            return ()
        if not isinstance(value, list | tuple):
            raise DecodeError(f"{self.path}.{key}", "a list", value)
        return value

    def objects[T](self, key: str, decode: "Callable[[Fields], T]") -> tuple[T, ...]:
        """A list of objects, each decoded."""
        return tuple(decode(Fields(item, f"{self.path}.{key}[{i}]")) for i, item in enumerate(self.items(key)))

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings."""
        found = []
        for i, item in enumerate(self.items(key)):
            if not isinstance(item, str):
                raise DecodeError(f"{self.path}.{key}[{i}]", "a string", item)
            found.append(item)
        return tuple(found)

    def entries[T](self, key: str, decode: "Callable[[Fields], T]") -> dict[str, T]:
        """An object of objects, each decoded."""
        child = self.child(key)
        return {name: decode(Fields(item, f"{child.path}[{name}]")) for name, item in child.raw.items()}

    def quantity(self, key: str) -> Quantity:
        """A quantity, as a string or a number; absent is zero, as upstream decodes it."""
        return _quantity(self.raw.get(key), f"{self.path}.{key}")

    def optional_quantity(self, key: str) -> Quantity | None:
        """A quantity, or None where it is absent."""
        return self.quantity(key) if self.has(key) else None

    def quantities(self, key: str) -> dict[str, Quantity]:
        """An object of quantities."""
        child = self.child(key)
        return {name: _quantity(item, f"{child.path}[{name}]") for name, item in child.raw.items()}

    def quantity_items(self, key: str) -> tuple[Quantity, ...]:
        """A list of quantities."""
        return tuple(_quantity(item, f"{self.path}.{key}[{i}]") for i, item in enumerate(self.items(key)))


def _quantity(value: object, path: str) -> Quantity:
    if value is None:
        return ZERO
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise DecodeError(path, "a quantity", value)
    try:
        return parse_quantity(str(value))
    except ValueError:
        raise DecodeError(path, "a quantity such as 192Gi or 500m", value) from None

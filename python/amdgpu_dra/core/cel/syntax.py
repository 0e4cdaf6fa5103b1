"""The nodes of a parsed expression.

Every node has an `id` that is its own in the expression, by which the checker's and the cost estimate's tables refer to
it, and `at`, its place in the source in characters. Operators are calls of functions named `_==_`, `_&&_`, `!_` …; `&&`
and `||` take any number of arguments.
"""

from dataclasses import dataclass

from amdgpu_dra.core.cel.values import Value

__all__ = ["Call", "Comprehension", "Entry", "Ident", "ListOf", "Literal", "MapOf", "Node", "Select", "Struct"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Literal:
    """A constant."""

    id: int
    at: int
    value: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Ident:
    """A name; a leading dot means the name of the environment, whatever a macro has bound."""

    id: int
    at: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Select:
    """`operand.field`; `test_only` for `has(operand.field)`."""

    id: int
    at: int
    operand: "Node"
    field: str
    test_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """`function(args)` or `target.function(args)`."""

    id: int
    at: int
    function: str
    target: "Node | None" = None
    args: "tuple[Node, ...]" = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOf:
    """`[a, ?b]`; `optional` holds the positions with a question mark."""

    id: int
    at: int
    elements: "tuple[Node, ...]" = ()
    optional: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """`key: value` of a map, or of a struct, where the key is the field's name."""

    key: "Node | str"
    value: "Node"
    optional: bool
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MapOf:
    """`{key: value}`."""

    id: int
    at: int
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Struct:
    """`name{field: value}`."""

    id: int
    at: int
    name: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comprehension:
    """A loop over `span`, as macros make it.

    `accu` begins as `first`; while `condition` holds it becomes `step` for each element; the whole is `result`.
    An empty span makes it a variable binding.
    """

    id: int
    at: int
    span: "Node"
    name: str
    second: str | None
    accu: str
    first: "Node"
    condition: "Node"
    step: "Node"
    result: "Node"
    macro: str

    @property
    def is_binding(self) -> bool:
        """Whether it only gives a value a name, as `cel.bind` does."""
        return isinstance(self.span, ListOf) and not self.span.elements and self.accu != ACCU


type Node = Literal | Ident | Select | Call | ListOf | MapOf | Struct | Comprehension

ACCU = "@result"

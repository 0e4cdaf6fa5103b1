"""Macros: calls that stand for something else, written out before types are checked."""

from collections.abc import Callable
from dataclasses import replace

from amdgpu_dra.core.cel.errors import Issue
from amdgpu_dra.core.cel.syntax import (
    ACCU,
    Call,
    Comprehension,
    Entry,
    Ident,
    ListOf,
    Literal,
    MapOf,
    Node,
    Select,
    Struct,
)

__all__ = ["GLOBAL_MACROS", "RECEIVER_MACROS", "Builder", "MacroError"]

type Global = Callable[[Builder, tuple[Node, ...]], Node]
type Receiver = Callable[[Builder, Node, tuple[Node, ...]], Node | None]


class MacroError(Exception):
    """A macro was given what it cannot take."""

    def __init__(self, issue: Issue) -> None:
        super().__init__(issue.text)
        self.issue = issue


class Builder:
    """Makes nodes; macros write theirs at the place of their call."""

    def __init__(self) -> None:
        self._last = 0
        self.at = 0

    def next_id(self) -> int:
        """A number that no node has."""
        self._last += 1
        return self._last

    def literal(self, value: object) -> Literal:
        """A constant."""
        return Literal(id=self.next_id(), at=self.at, value=value)

    def ident(self, name: str) -> Ident:
        """A name."""
        return Ident(id=self.next_id(), at=self.at, name=name)

    def accu(self) -> Ident:
        """The accumulator's name."""
        return self.ident(ACCU)

    def call(self, function: str, *args: Node) -> Call:
        """A call without target."""
        return Call(id=self.next_id(), at=self.at, function=function, args=args)

    def member(self, function: str, target: Node, *args: Node) -> Call:
        """A call on a target."""
        return Call(id=self.next_id(), at=self.at, function=function, target=target, args=args)

    def list_of(self, *elements: Node) -> ListOf:
        """A list."""
        return ListOf(id=self.next_id(), at=self.at, elements=elements)

    def fold(
        self, macro: str, span: Node, names: tuple[str, str | None], parts: tuple[Node, Node, Node, Node]
    ) -> Comprehension:
        """A loop; the parts are the accumulator's first value, condition, step and result."""
        first, condition, step, result = parts
        return Comprehension(
            id=self.next_id(),
            at=self.at,
            span=span,
            name=names[0],
            second=names[1],
            accu=ACCU,
            first=first,
            condition=condition,
            step=step,
            result=result,
            macro=macro,
        )

    def bind(self, name: str, value: Node, body: Node) -> Comprehension:
        """A name for a value, that is computed when it is first read."""
        return Comprehension(
            id=self.next_id(),
            at=self.at,
            span=self.list_of(),
            name="#unused",
            second=None,
            accu=name,
            first=value,
            condition=self.literal(False),
            step=self.ident(name),
            result=body,
            macro="bind",
        )

    def copy(self, node: Node) -> Node:
        """The same expression with ids of its own."""
        new = self.next_id()
        match node:
            case Literal() | Ident():
                return replace(node, id=new)
            case Select():
                return replace(node, id=new, operand=self.copy(node.operand))
            case Call():
                target = None if node.target is None else self.copy(node.target)
                return replace(node, id=new, target=target, args=tuple(map(self.copy, node.args)))
            case ListOf():
                return replace(node, id=new, elements=tuple(map(self.copy, node.elements)))
            case MapOf() | Struct():
                return replace(node, id=new, entries=tuple(map(self._copy_entry, node.entries)))
            case Comprehension():
                return replace(
                    node,
                    id=new,
                    span=self.copy(node.span),
                    first=self.copy(node.first),
                    condition=self.copy(node.condition),
                    step=self.copy(node.step),
                    result=self.copy(node.result),
                )

    def _copy_entry(self, entry: Entry) -> Entry:
        key = entry.key if isinstance(entry.key, str) else self.copy(entry.key)
        return replace(entry, key=key, value=self.copy(entry.value))


def _fail(node: Node, text: str) -> MacroError:
    return MacroError(Issue(at=node.at, text=text))


def _variable(node: Node, complaint: str) -> str:
    if not isinstance(node, Ident):
        raise _fail(node, complaint)
    if node.name in {ACCU, "__result__"}:
        raise _fail(node, "iteration variable overwrites accumulator variable")
    return node.name


def _names(args: tuple[Node, ...], count: int, complaint: str) -> tuple[str, str | None]:
    first = _variable(args[0], complaint)
    if count == 1:
        return first, None
    second = _variable(args[1], complaint)
    if first == second:
        raise _fail(args[1], f"duplicate variable name: {first}")
    return first, second


def _has(make: Builder, args: tuple[Node, ...]) -> Node:
    (operand,) = args
    if not isinstance(operand, Select) or operand.test_only:
        raise _fail(operand, "invalid argument to has() macro")
    return replace(operand, id=make.next_id(), at=make.at, test_only=True)


def _quantifier(kind: str, names: int) -> Receiver:
    def expand(make: Builder, target: Node, args: tuple[Node, ...]) -> Node:
        named = _names(args, names, "argument must be a simple name")
        predicate = args[names]
        if kind == "all":
            parts: tuple[Node, Node, Node, Node] = (
                make.literal(True),
                make.call("@not_strictly_false", make.accu()),
                make.call("_&&_", make.accu(), predicate),
                make.accu(),
            )
        elif kind == "exists":
            parts = (
                make.literal(False),
                make.call("@not_strictly_false", make.call("!_", make.accu())),
                make.call("_||_", make.accu(), predicate),
                make.accu(),
            )
        else:
            parts = (
                make.literal(0),
                make.literal(True),
                make.call("_?_:_", predicate, make.call("_+_", make.accu(), make.literal(1)), make.accu()),
                make.call("_==_", make.accu(), make.literal(1)),
            )
        return make.fold(kind, target, named, parts)

    return expand


def _filtered(make: Builder, condition: Node | None, step: Node) -> Node:
    return step if condition is None else make.call("_?_:_", condition, step, make.accu())


def _transform(names: int, complaint: str) -> Receiver:
    """`map` and `transformList`, with and without a filter."""

    def expand(make: Builder, target: Node, args: tuple[Node, ...]) -> Node:
        named = _names(args, names, complaint)
        condition = args[names] if len(args) == names + 2 else None
        step = make.call("_+_", make.accu(), make.list_of(args[-1]))
        parts = (make.list_of(), make.literal(True), _filtered(make, condition, step), make.accu())
        return make.fold("map", target, named, parts)

    return expand


def _filter(make: Builder, target: Node, args: tuple[Node, ...]) -> Node:
    named = _names(args, 1, "argument is not an identifier")
    step = make.call("_?_:_", args[1], make.call("_+_", make.accu(), make.list_of(args[0])), make.accu())
    return make.fold("filter", target, named, (make.list_of(), make.literal(True), step, make.accu()))


def _transform_map(*, entries: bool) -> Receiver:
    def expand(make: Builder, target: Node, args: tuple[Node, ...]) -> Node:
        named = _names(args, 2, "argument must be a simple name")
        condition = args[2] if len(args) == 4 else None  # noqa: PLR2004 (two names, a filter, the new value)
        added = (args[-1],) if entries else (make.ident(named[0]), args[-1])
        step = _filtered(make, condition, make.call("cel.@mapInsert", make.accu(), *added))
        empty = MapOf(id=make.next_id(), at=make.at)
        return make.fold("map_insert", target, named, (empty, make.literal(True), step, make.accu()))

    return expand


def _bind(make: Builder, target: Node, args: tuple[Node, ...]) -> Node | None:
    if not (isinstance(target, Ident) and target.name == "cel"):
        return None
    if not isinstance(args[0], Ident):
        raise _fail(args[0], "cel.bind() variable names must be simple identifiers")
    return make.bind(args[0].name, args[1], args[2])


def _opt_map(*, flat: bool) -> Receiver:
    def expand(make: Builder, target: Node, args: tuple[Node, ...]) -> Node:
        if not isinstance(args[0], Ident):
            macro = "optFlatMap" if flat else "optMap"
            raise _fail(args[0], f"{macro}() variable name must be a simple identifier")
        body: Node = make.bind(args[0].name, make.member("value", make.copy(target)), args[1])
        return make.call(
            "_?_:_",
            make.member("hasValue", target),
            body if flat else make.call("optional.of", body),
            make.call("optional.none"),
        )

    return expand


def _sort_by(make: Builder, target: Node, args: tuple[Node, ...]) -> Node:
    if not isinstance(target, (ListOf, Select, Ident, Comprehension, Call)):
        text = "sortBy can only be applied to a list, identifier, comprehension, call or select expression"
        raise _fail(target, text)
    name = "@__sortBy_input__"
    mapped = _transform(1, "argument is not an identifier")(make, make.ident(name), args)
    assert mapped is not None  # noqa: S101 (the macro always applies)
    return make.bind(name, target, make.member("@sortByAssociatedKeys", make.ident(name), mapped))


GLOBAL_MACROS: dict[tuple[str, int], Global] = {("has", 1): _has}
_SIMPLE = "argument must be a simple name"
_NO_IDENT = "argument is not an identifier"
RECEIVER_MACROS: dict[tuple[str, int], Receiver] = {
    ("all", 2): _quantifier("all", 1),
    ("exists", 2): _quantifier("exists", 1),
    ("exists_one", 2): _quantifier("exists_one", 1),
    ("map", 2): _transform(1, _NO_IDENT),
    ("map", 3): _transform(1, _NO_IDENT),
    ("filter", 2): _filter,
    ("all", 3): _quantifier("all", 2),
    ("exists", 3): _quantifier("exists", 2),
    ("exists_one", 3): _quantifier("exists_one", 2),
    ("existsOne", 3): _quantifier("exists_one", 2),
    ("transformList", 3): _transform(2, _SIMPLE),
    ("transformList", 4): _transform(2, _SIMPLE),
    ("transformMap", 3): _transform_map(entries=False),
    ("transformMap", 4): _transform_map(entries=False),
    ("transformMapEntry", 3): _transform_map(entries=True),
    ("transformMapEntry", 4): _transform_map(entries=True),
    ("bind", 3): _bind,
    ("optMap", 2): _opt_map(flat=False),
    ("optFlatMap", 2): _opt_map(flat=True),
    ("sortBy", 2): _sort_by,
}

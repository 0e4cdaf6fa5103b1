"""Faults of literals and constants that the checker's types do not show."""

from collections.abc import Iterator

from amdgpu_dra.core.cel.checker import Checked
from amdgpu_dra.core.cel.convert import FUNCTIONS as CONVERSIONS
from amdgpu_dra.core.cel.errors import CelRuntimeError, Issue
from amdgpu_dra.core.cel.kinds import CelType
from amdgpu_dra.core.cel.overloads import Overload
from amdgpu_dra.core.cel.patterns import compile_pattern
from amdgpu_dra.core.cel.syntax import Call, Comprehension, ListOf, Literal, MapOf, Node, Select, Struct
from amdgpu_dra.core.cel.textformat import clauses, complaint
from amdgpu_dra.core.cel.values import Value

__all__ = ["validate"]

_VERB_KINDS = {
    "d": {"int", "uint"},
    "f": {"double", "string"},
    "e": {"double", "string"},
    "b": {"int", "uint", "bool"},
    "x": {"int", "uint", "string", "bytes"},
    "X": {"int", "uint", "string", "bytes"},
    "o": {"int", "uint"},
    "s": {
        "list", "map", "int", "uint", "double", "bool", "string", "timestamp", "bytes", "duration", "type", "null",
    },
}  # fmt: skip


def validate(checked: Checked) -> list[Issue]:
    """What is wrong with literals of mixed types, formats, patterns, durations and timestamps."""
    issues: list[Issue] = []
    for node, exempt in _walk(checked.root, exempt=False):
        match node:
            case ListOf() if not exempt:
                issues += _mixed_list(checked, node)
            case MapOf() if not exempt:
                issues += _mixed_map(checked, node)
            case Call():
                issues += _bad_constant(node)
                issues += _bad_format(checked, node)
    return issues


def _walk(node: Node, *, exempt: bool) -> Iterator[tuple[Node, bool]]:
    """All nodes, and whether mixed literals are fine there: anywhere inside of `format`."""
    yield node, exempt
    inside = exempt or (isinstance(node, Call) and node.function == "format")
    for child in _children(node):
        yield from _walk(child, exempt=inside)


def _children(node: Node) -> list[Node]:
    match node:
        case Select():
            return [node.operand]
        case Call():
            return ([] if node.target is None else [node.target]) + list(node.args)
        case ListOf():
            return list(node.elements)
        case MapOf() | Struct():
            keys = [entry.key for entry in node.entries if not isinstance(entry.key, str)]
            return keys + [entry.value for entry in node.entries]
        case Comprehension():
            return [node.span, node.first, node.condition, node.step, node.result]
        case _:
            return []


def _unwrapped(kind: CelType) -> CelType:
    return kind.params[0] if kind.name == "optional_type" and kind.params else kind


def _differs(node: Node, wanted: CelType, found: CelType) -> Issue:
    return Issue(at=node.at, text=f"expected type '{wanted}' but found '{found}'")


def _mixed_list(checked: Checked, node: ListOf) -> list[Issue]:
    wanted: CelType | None = None
    for place, element in enumerate(node.elements):
        kind = checked.types[element.id]
        kind = _unwrapped(kind) if place in node.optional else kind
        if wanted is not None and wanted != kind:
            return [_differs(element, wanted, kind)]
        wanted = kind
    return []


def _mixed_map(checked: Checked, node: MapOf) -> list[Issue]:
    issues: list[Issue] = []
    first: tuple[CelType, CelType] | None = None
    for entry in node.entries:
        assert not isinstance(entry.key, str)  # noqa: S101 (only a struct's is)
        value = checked.types[entry.value.id]
        kinds = (checked.types[entry.key.id], _unwrapped(value) if entry.optional else value)
        first = first or kinds
        for part, wanted, found in zip((entry.key, entry.value), first, kinds, strict=True):
            if wanted != found:
                issues.append(_differs(part, wanted, found))
    return issues


def _bad_constant(node: Call) -> list[Issue]:
    """Durations and timestamps that are none, and a literal of `matches` that is no pattern."""
    if not node.args or not isinstance(node.args[0], Literal):
        return []
    argument = node.args[0]
    try:
        if node.function in {"duration", "timestamp"}:
            _convert(CONVERSIONS[node.function], argument.value)
        elif node.function == "matches" and isinstance(argument.value, str):
            compile_pattern(argument.value)
    except CelRuntimeError:
        return [Issue(at=argument.at, text=f"invalid {node.function} argument")]
    return []


def _convert(overloads: tuple[Overload, ...], value: Value) -> None:
    kind = {str: "string", int: "int"}.get(type(value))
    if value is None:
        raise CelRuntimeError("null")
    for candidate in overloads:
        if candidate.params[0].kind == kind:
            candidate.run(value)


def _bad_format(checked: Checked, node: Call) -> list[Issue]:  # noqa: PLR0911 (one for each fault)
    """A constant format whose clauses and arguments do not go together."""
    if node.function != "format" or len(node.args) != 1:
        return []
    target, args = node.target, node.args[0]
    if not isinstance(target, Literal) or not isinstance(target.value, str) or not isinstance(args, ListOf):
        return []
    used = 0
    try:
        for _, verb, _ in clauses(target.value):
            if not verb:
                continue
            if used >= len(args.elements):
                return [Issue(at=node.at, text=f"index {used} out of range")]
            wrong = _wrong_argument(checked, args.elements[used], _VERB_KINDS[verb], nested=verb == "s")
            if wrong is not None:
                return [Issue(at=wrong.at, text=complaint(verb, str(checked.types[wrong.id])))]
            used += 1
    except CelRuntimeError as fault:
        return [Issue(at=node.at, text=str(fault))]
    if len(args.elements) > used:
        text = f"too many arguments supplied to string.format (expected {used}, got {len(args.elements)})"
        return [Issue(at=node.at, text=text)]
    return []


def _wrong_argument(checked: Checked, node: Node, kinds: set[str], *, nested: bool) -> Node | None:
    kind = checked.types[node.id].kind
    if kind != "dyn" and kind not in kinds:
        return node
    inner = _children(node) if nested and isinstance(node, (ListOf, MapOf)) else []
    return next((wrong for part in inner if (wrong := _wrong_argument(checked, part, kinds, nested=True))), None)

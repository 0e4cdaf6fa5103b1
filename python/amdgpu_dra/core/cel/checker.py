"""The type checker: what each node is, which overloads a call may mean, and every fault that needs no device."""

from dataclasses import dataclass, field

from amdgpu_dra.core.cel.assign import Bindings, assignable, assignable_list, is_wide, most_general, substitute
from amdgpu_dra.core.cel.environment import WRAPPERS, Environment
from amdgpu_dra.core.cel.errors import Issue
from amdgpu_dra.core.cel.kinds import (
    BOOL,
    BYTES,
    DEVICE,
    DOUBLE,
    DYN,
    ERROR,
    INT,
    NULL,
    STRING,
    UINT,
    CelType,
    list_of,
    map_of,
    optional_of,
)
from amdgpu_dra.core.cel.overloads import Overload
from amdgpu_dra.core.cel.syntax import Call, Comprehension, Entry, Ident, ListOf, Literal, MapOf, Node, Select, Struct
from amdgpu_dra.core.cel.values import Uint

__all__ = ["Checked", "check"]

_LITERALS: dict[type, CelType] = {
    bool: BOOL,
    int: INT,
    Uint: UINT,
    float: DOUBLE,
    str: STRING,
    bytes: BYTES,
    type(None): NULL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The tables of a checked expression, by node id.

    `names` has the identifiers that a node of its own or a chain of selections stands for; `functions` the calls whose
    target was part of the function's name, with that name; `issues` what is wrong.
    """

    root: Node
    types: dict[int, CelType] = field(default_factory=dict)
    overloads: dict[int, tuple[Overload, ...]] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    functions: dict[int, str] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)


def check(root: Node, env: Environment) -> Checked:
    """Checks an expression."""
    checker = _Checker(root, env)
    checker.visit(root)
    checker.settle()
    return checker.out


class _Checker:
    def __init__(self, root: Node, env: Environment) -> None:
        self.out = Checked(root=root)
        self._env = env
        self._scopes: list[dict[str, CelType]] = []
        self._bindings: Bindings = {}
        self._free = 0

    def settle(self) -> None:
        """Replaces all parameters by what they stand for."""
        for place, kind in self.out.types.items():
            self.out.types[place] = substitute(self._bindings, kind, to_dyn=True)

    def visit(self, node: Node) -> CelType:
        """The type of a node, which is put into the table."""
        match node:
            case Literal():
                kind = _LITERALS[type(node.value)]
            case Ident():
                kind = self._ident(node)
            case Select():
                kind = self._select(node)
            case Call():
                kind = self._call(node)
            case ListOf():
                kind = self._list(node)
            case MapOf():
                kind = self._map(node)
            case Struct():
                kind = self._struct(node)
            case Comprehension():
                kind = self._comprehension(node)
        self.out.types[node.id] = kind
        return kind

    def _report(self, node: Node, text: str) -> CelType:
        self.out.issues.append(Issue(at=node.at, text=text))
        return ERROR

    def _shown(self, kind: CelType) -> CelType:
        return substitute(self._bindings, kind, to_dyn=True)

    def _fits(self, wanted: CelType, found: CelType) -> bool:
        bindings = assignable(self._bindings, wanted, found)
        if bindings is not None:
            self._bindings = bindings
        return bindings is not None

    def _fresh(self) -> CelType:
        self._free += 1
        return CelType("param", f"_var{self._free}")

    def _mismatch(self, node: Node, wanted: CelType, found: CelType) -> CelType:
        return self._report(node, f"expected type '{self._shown(wanted)}' but found '{self._shown(found)}'")

    def _local(self, name: str) -> CelType | None:
        return next((scope[name] for scope in reversed(self._scopes) if name in scope), None)

    def _ident(self, node: Ident) -> CelType:
        local = self._local(node.name)
        if local is not None:
            self.out.names[node.id] = node.name
            return local
        name = node.name.removeprefix(".")
        if name in self._env.names:
            self.out.names[node.id] = "." + name
            return self._env.names[name]
        return self._report(node, f"undeclared reference to '{node.name}' (in container '')")

    def _select(self, node: Select) -> CelType:
        dotted = None if node.test_only else _dotted(node)
        if dotted is not None and self._local(dotted.split(".")[0]) is None and dotted in self._env.names:
            self.out.names[node.id] = "." + dotted
            return self._env.names[dotted]
        result = self._field(node, node.operand, node.field)
        return BOOL if node.test_only else substitute(self._bindings, result)

    def _field(self, node: Node, operand: Node, name: str, *, optional: bool = False) -> CelType:
        found = substitute(self._bindings, self.visit(operand))
        target = found.params[0] if found.name == "optional_type" and found.params else found
        if target.kind == "map":
            result = target.params[1]
        elif target.kind == "struct":
            result = self._struct_field(node, target, name)
        elif target.kind == "param":
            self._fits(DYN, target)
            result = DYN
        else:
            if not is_wide(target):
                self._report(node, f"type '{self._shown(target)}' does not support field selection")
            result = DYN
        return optional_of(result) if optional or target is not found else result

    def _struct_field(self, node: Node, target: CelType, name: str) -> CelType:
        if target == DEVICE and name in self._env.fields:
            return self._env.fields[name]
        return self._report(node, f"undefined field '{name}'")

    def _call(self, node: Call) -> CelType:
        if node.function == "_?._":
            field_name = node.args[1]
            assert isinstance(field_name, Literal)  # noqa: S101 (so the parser writes it)
            self.visit(field_name)
            self.out.overloads[node.id] = self._env.functions["_?._"]
            result = self._field(node, node.args[0], str(field_name.value), optional=True)
            return substitute(self._bindings, result)
        args = [self.visit(arg) for arg in node.args]
        if node.target is None:
            return self._resolve(node, node.function.removeprefix("."), args, member=False)
        prefix = _dotted(node.target)
        qualified = f"{prefix}.{node.function}".removeprefix(".")
        if prefix is not None and qualified in self._env.functions:
            self.out.functions[node.id] = qualified
            return self._resolve(node, qualified, args, member=False)
        return self._resolve(node, node.function, [self.visit(node.target), *args], member=True)

    def _resolve(self, node: Call, function: str, args: list[CelType], *, member: bool) -> CelType:
        declared = self._env.functions.get(function)
        if declared is None:
            return self._report(node, f"undeclared reference to '{function}' (in container '')")
        if function in {"_&&_", "_||_"}:
            return self._logical(node, declared, args)
        result: CelType | None = None
        chosen: list[Overload] = []
        for candidate in declared:
            if candidate.member != member:
                continue
            params, returned = self._instance(candidate)
            bindings = assignable_list(self._bindings, args, params)
            if bindings is None:
                continue
            self._bindings = bindings
            chosen.append(candidate)
            found = substitute(bindings, returned)
            if result is None:
                result = found
            elif not result.is_dyn and found != result:
                result = DYN
        if result is None:
            return self._no_overload(node, function, args, member=member)
        self.out.overloads[node.id] = tuple(chosen)
        return result

    def _logical(self, node: Call, declared: tuple[Overload, ...], args: list[CelType]) -> CelType:
        fine = True
        for arg, kind in zip(node.args, args, strict=True):
            if not self._fits(kind, BOOL):
                self._mismatch(arg, BOOL, kind)
                fine = False
        self.out.overloads[node.id] = declared
        return BOOL if fine else ERROR

    def _instance(self, candidate: Overload) -> tuple[tuple[CelType, ...], CelType]:
        """The overload's types, with parameters of this call's own."""
        names = _parameters((*candidate.params, candidate.result))
        if not names:
            return candidate.params, candidate.result
        fresh = {name: self._fresh() for name in names}
        return tuple(substitute(fresh, param) for param in candidate.params), substitute(fresh, candidate.result)

    def _no_overload(self, node: Call, function: str, args: list[CelType], *, member: bool) -> CelType:
        shown = [str(self._shown(kind)) for kind in args]
        call = f"{shown[0]}.({', '.join(shown[1:])})" if member else f"({', '.join(shown)})"
        return self._report(node, f"found no matching overload for '{function}' applied to '{call}'")

    def _list(self, node: ListOf) -> CelType:
        joined: CelType | None = None
        for place, element in enumerate(node.elements):
            kind = self.visit(element)
            if place in node.optional:
                kind = self._unwrapped(element, kind)
            joined = self._join(joined, kind)
        return list_of(joined or self._fresh())

    def _map(self, node: MapOf) -> CelType:
        keys: CelType | None = None
        values: CelType | None = None
        for entry in node.entries:
            assert not isinstance(entry.key, str)  # noqa: S101 (only a struct's is)
            keys = self._join(keys, self.visit(entry.key))
            values = self._join(values, self._entry_value(entry))
        return map_of(keys or self._fresh(), values or self._fresh())

    def _entry_value(self, entry: Entry) -> CelType:
        kind = self.visit(entry.value)
        return self._unwrapped(entry.value, kind) if entry.optional else kind

    def _unwrapped(self, node: Node, kind: CelType) -> CelType:
        """What an optional holds; a fault for what is none."""
        kind = substitute(self._bindings, kind)
        if kind.name == "optional_type" and kind.params:
            return kind.params[0]
        if not kind.is_dyn:
            self._mismatch(node, optional_of(kind), kind)
        return kind

    def _join(self, previous: CelType | None, current: CelType) -> CelType:
        """The type of a literal's elements; mixed ones are refused afterwards, with regard to where they stand."""
        if previous is None:
            return current
        if self._fits(previous, current):
            return most_general(previous, current)
        return DYN

    def _struct(self, node: Struct) -> CelType:
        name = node.name.removeprefix(".")
        if name not in WRAPPERS and name != DEVICE.name:
            return self._report(node, f"undeclared reference to '{node.name}' (in container '')")
        fields = {"value": WRAPPERS[name]} if name in WRAPPERS else self._env.fields
        for entry in node.entries:
            found = self._entry_value(entry)
            wanted = fields.get(str(entry.key))
            if wanted is None:
                self.out.issues.append(Issue(at=entry.at, text=f"undefined field '{entry.key}'"))
            elif not self._fits(wanted, found):
                text = f"expected type of field '{entry.key}' is '{wanted}' but provided type is '{self._shown(found)}'"
                self.out.issues.append(Issue(at=entry.at, text=text))
        return WRAPPERS.get(name, DEVICE)

    def _comprehension(self, node: Comprehension) -> CelType:
        span = substitute(self._bindings, self.visit(node.span))
        accu = self.visit(node.first)
        first, second = self._elements(node, substitute(self._bindings, span))
        self._scopes.append({node.accu: accu})
        names = {node.name: first}
        if node.second is not None:
            names[node.second] = second
        self._scopes.append(names)
        self._expect(node.condition, BOOL)
        self._expect(node.step, accu)
        self._scopes.pop()
        result = self.visit(node.result)
        self._scopes.pop()
        return substitute(self._bindings, result)

    def _expect(self, node: Node, wanted: CelType) -> None:
        found = self.visit(node)
        if not self._fits(wanted, found):
            self._mismatch(node, wanted, found)

    def _elements(self, node: Comprehension, span: CelType) -> tuple[CelType, CelType]:
        """The types of a loop's variables."""
        if span.kind == "list":
            return (span.params[0], ERROR) if node.second is None else (INT, span.params[0])
        if span.kind == "map":
            return span.params[0], span.params[1]
        if span.kind in {"dyn", "error", "param"}:
            self._fits(DYN, span)
            return DYN, DYN
        text = f"expression of type '{self._shown(span)}' cannot be range of a comprehension"
        self._report(node.span, text + " (must be list, map, or dynamic)")
        return ERROR, ERROR


def _dotted(node: Node) -> str | None:
    """`a.b.c` as text; None for anything else."""
    if isinstance(node, Ident):
        return node.name
    if isinstance(node, Select) and not node.test_only:
        prefix = _dotted(node.operand)
        return None if prefix is None else f"{prefix}.{node.field}"
    return None


def _parameters(kinds: tuple[CelType, ...]) -> set[CelType]:
    out: set[CelType] = set()
    for kind in kinds:
        if kind.kind == "param":
            out.add(kind)
        out |= _parameters(kind.params)
    return out

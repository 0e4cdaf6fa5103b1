"""Which attributes and capacities an expression reads by name."""

from dataclasses import dataclass

from amdgpu_dra.core.cel.checker import Checked
from amdgpu_dra.core.cel.syntax import Call, Comprehension, Ident, ListOf, Literal, MapOf, Node, Select, Struct

__all__ = ["AttributeRead", "attribute_reads"]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class AttributeRead:
    """One name that is read.

    `guarded` where the expression also asks whether it is there, so that its absence is no error by itself; `capacity`
    for a capacity.
    """

    domain: str
    id: str
    capacity: bool
    guarded: bool


type _Name = tuple[bool, str, str]


def attribute_reads(checked: Checked) -> tuple[AttributeRead, ...]:
    """The names, sorted; those whose domain or id is computed are left out."""
    finder = _Finder()
    finder.visit(checked.root)
    return tuple(
        sorted(
            AttributeRead(domain=domain, id=id_, capacity=capacity, guarded=name in finder.asked)
            for name in finder.read | finder.asked
            for capacity, domain, id_ in (name,)
        )
    )


class _Finder:
    def __init__(self) -> None:
        self.read: set[_Name] = set()
        self.asked: set[_Name] = set()
        self._bound: dict[str, Node] = {}

    def visit(self, node: Node) -> None:
        """Collects what a node and all below it read."""
        match node:
            case Select():
                self._note(self._name(node.operand, node.field), asked=node.test_only)
                self.visit(node.operand)
            case Call():
                self._visit_call(node)
            case ListOf():
                self._visit_all(node.elements)
            case MapOf() | Struct():
                self._visit_all([entry.key for entry in node.entries if not isinstance(entry.key, str)])
                self._visit_all([entry.value for entry in node.entries])
            case Comprehension():
                if node.is_binding:
                    self._bound[node.accu] = node.first
                self._visit_all((node.span, node.first, node.condition, node.step, node.result))

    def _visit_all(self, nodes: "tuple[Node, ...] | list[Node]") -> None:
        for node in nodes:
            self.visit(node)

    def _visit_call(self, node: Call) -> None:
        if node.function in {"_[_]", "_[?_]", "_?._"}:
            key = _text(node.args[1])
            if key is not None:
                self._note(self._name(node.args[0], key), asked=node.function != "_[_]")
        elif node.function == "@in":
            key = _text(node.args[0])
            if key is not None:
                self._note(self._name(node.args[1], key), asked=True)
        if node.target is not None:
            self.visit(node.target)
        self._visit_all(node.args)

    def _note(self, name: _Name | None, *, asked: bool) -> None:
        if name is not None:
            (self.asked if asked else self.read).add(name)

    def _name(self, domain_map: Node, id_: str) -> _Name | None:
        """The name that selecting `id_` from a node reads."""
        inner = self._followed(domain_map)
        match inner:
            case Call(function="_[_]" | "_[?_]" | "_?._", args=(outer, key)):
                domain = _text(key)
            case Select(operand=outer, field=domain):
                pass
            case _:
                return None
        section = self._followed(outer)
        if domain is None or not isinstance(section, Select) or section.field not in {"attributes", "capacity"}:
            return None
        root = self._followed(section.operand)
        if not isinstance(root, Ident) or root.name.removeprefix(".") != "device":
            return None
        return section.field == "capacity", domain, id_

    def _followed(self, node: Node) -> Node:
        """What a name that `cel.bind` gave stands for."""
        seen = 0
        while isinstance(node, Ident) and node.name in self._bound and seen < len(self._bound):
            node, seen = self._bound[node.name], seen + 1
        return node


def _text(node: Node) -> str | None:
    return node.value if isinstance(node, Literal) and isinstance(node.value, str) else None

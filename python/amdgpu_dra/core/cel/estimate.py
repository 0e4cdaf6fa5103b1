"""The worst cost of an expression, estimated from its checked nodes exactly as the API server does."""

from dataclasses import dataclass

from amdgpu_dra.core.cel.checker import Checked
from amdgpu_dra.core.cel.device_sizes import size_at
from amdgpu_dra.core.cel.estimate_calls import Estimate, Operand, library_estimate
from amdgpu_dra.core.cel.kinds import CelType
from amdgpu_dra.core.cel.overloads import Overload
from amdgpu_dra.core.cel.prices import LIST_COST, MAP_COST, PATTERN, STRUCT_COST, TRAVERSAL
from amdgpu_dra.core.cel.ranges import ONE, UNKNOWN, Range, fixed
from amdgpu_dra.core.cel.syntax import ACCU, Call, Comprehension, Ident, ListOf, Literal, MapOf, Node, Select, Struct
from amdgpu_dra.core.cel.values import MAX_UINT

__all__ = ["estimate"]

_NOTHING = Range()
_LIST_COST, _MAP_COST, _STRUCT_COST = fixed(LIST_COST), fixed(MAP_COST), fixed(STRUCT_COST)
_SCALARS = frozenset({"bool", "double", "duration", "int", "timestamp", "uint"})
_EMPTY = Range(MAX_UINT, 0)
_ORDERINGS = frozenset(
    f"{name}_{kind}" for name in ("less", "greater", "less_equals", "greater_equals") for kind in ("string", "bytes")
) | {"equals", "not_equals"}

type _Path = tuple[str, ...]


def estimate(checked: Checked) -> int:
    """The estimate's upper end; 2**64 - 1 for one without bound."""
    return _Estimator(checked).cost(checked.root).high


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entries:
    """The sizes of what a list or map holds."""

    kind: str
    key: Range
    value: Range


@dataclass(frozen=True, slots=True, kw_only=True)
class _Local:
    path: _Path
    size: Range | None
    entries: _Entries | None


def _union(one: _Entries | None, two: _Entries | None) -> _Entries | None:
    if one is None or two is None:
        return None
    return _Entries(kind=one.kind, key=one.key | two.key, value=one.value | two.value)


class _Estimator:
    def __init__(self, checked: Checked) -> None:
        self._checked = checked
        self._paths: dict[int, _Path] = {}
        self._sizes: dict[int, Range] = {}
        self._entries: dict[int, _Entries] = {}
        self._locals: dict[str, list[_Local]] = {}

    def cost(self, node: Node) -> Range:  # noqa: PLR0911 (one for each kind of node)
        """The cost of a node with all below it."""
        match node:
            case Literal():
                return _NOTHING
            case Ident():
                return self._ident(node, node.name.removeprefix("."))
            case Select() if node.id in self._checked.names:
                return self._ident(node, self._checked.names[node.id].removeprefix("."))
            case Select():
                return self._select(node)
            case Call():
                return self._call(node)
            case ListOf():
                return self._list(node)
            case MapOf():
                return self._map(node)
            case Struct():
                return sum((self.cost(entry.value) for entry in node.entries), _STRUCT_COST)
            case Comprehension():
                return self._binding(node) if node.is_binding else self._loop(node)

    def _type(self, node: Node) -> CelType:
        return self._checked.types[node.id]

    def _local(self, node: Node) -> _Local | None:
        stack = self._locals.get(node.name) if isinstance(node, Ident) else None
        return stack[-1] if stack else None

    def _path(self, node: Node) -> _Path:
        local = self._local(node)
        return local.path if local is not None else self._paths.get(node.id, ())

    def _size(self, node: Node) -> Range | None:
        """The size of a value as far as it is known without running."""
        known = self._sizes.get(node.id) or _literal_size(node)
        if known is not None:
            return known
        most = size_at(self._path(node))
        if most is not None:
            self._sizes[node.id] = Range(0, most)
            return self._sizes[node.id]
        if _is_scalar(self._type(node)):
            return ONE
        local = self._local(node)
        return None if local is None else local.size

    def _sized(self, node: Node) -> Range:
        return self._size(node) or UNKNOWN

    def _entry_sizes(self, node: Node) -> _Entries | None:
        known = self._entries.get(node.id)
        local = self._local(node)
        return known or (None if local is None else local.entries)

    def _keep(self, node: Node, size: Range | None, entries: _Entries | None = None) -> None:
        if size is not None:
            self._sizes[node.id] = size
        if entries is not None:
            self._entries[node.id] = entries

    def _operand(self, node: Node) -> Operand:
        path: _Path | None = self._path(node)
        if not path or path[0] in {ACCU, "__result__"}:
            path = None
        return Operand(node=node, kind=self._type(node), path=path, size=self._size(node))

    def _ident(self, node: Node, name: str) -> Range:
        local = self._local(node)
        self._paths[node.id] = (name,) if local is None else local.path
        return ONE

    def _select(self, node: Select) -> Range:
        cost = self.cost(node.operand)
        if node.test_only:
            return cost
        self._paths[node.id] = (*self._path(node.operand), node.field)
        return cost + ONE if self._type(node.operand).kind in {"map", "struct"} else cost

    def _list(self, node: ListOf) -> Range:
        cost, items = _LIST_COST, _EMPTY if node.elements else _NOTHING
        for element in node.elements:
            cost += self.cost(element)
            items |= self._sized(element)
        self._keep(node, None, _Entries(kind="list", key=ONE, value=items))
        return cost

    def _map(self, node: MapOf) -> Range:
        cost = _MAP_COST
        keys = values = _EMPTY if node.entries else _NOTHING
        for entry in node.entries:
            assert not isinstance(entry.key, str)  # noqa: S101 (only a struct's is)
            cost += self.cost(entry.key) + self.cost(entry.value)
            keys |= self._sized(entry.key)
            values |= self._sized(entry.value)
        self._keep(node, None, _Entries(kind="map", key=keys, value=values))
        return cost

    def _call(self, node: Call) -> Range:
        if node.function == "dyn" and node.target is None:
            cost = self.cost(node.args[0]) + ONE
            self._keep(node, self._size(node.args[0]), self._entry_sizes(node.args[0]))
            return cost
        costs, operands = [], []
        for arg in node.args:
            costs.append(self.cost(arg))
            operands.append(self._operand(arg))
        function = self._checked.functions.get(node.id)
        before, target = _NOTHING, None
        if node.target is not None and function is None:
            before = self.cost(node.target)
            target = self._operand(node.target)
        cost, size = _EMPTY, None
        for overload in self._checked.overloads.get(node.id, ()):
            found = self._overload(node, function or node.function, overload.id, target, operands, costs)
            cost |= found.cost
            if found.size is not None:
                size = found.size if size is None else size | found.size
            size = self._indexed(node, overload, size)
        self._keep(node, size)
        return before + cost

    def _indexed(self, node: Call, overload: Overload, size: Range | None) -> Range | None:
        """The size of the result, and for an index its path."""
        if overload.id in {"index_list", "index_map"}:
            entries = self._entry_sizes(node.args[0])
            size = None if entries is None else entries.value
            step = "@items" if overload.id == "index_list" else "@values"
            self._paths[node.id] = (*self._path(node.args[0]), step)
        return self._size(node) if size is None else size

    def _overload(
        self,
        node: Call,
        function: str,
        overload: str,
        target: Operand | None,
        args: list[Operand],
        costs: list[Range],
    ) -> Estimate:
        own = library_estimate(function, overload, target, args) or self._standard(node, overload, target, args)
        if own is not None:
            return Estimate(cost=sum(costs, own.cost), size=own.size)
        if overload in {"logical_and", "logical_or"}:
            return Estimate(cost=Range(costs[0].low, sum(costs, _NOTHING).high))
        if overload == "conditional":
            self._keep(node, None, _union(self._entry_sizes(node.args[1]), self._entry_sizes(node.args[2])))
            size = (args[1].size or UNKNOWN) | (args[2].size or UNKNOWN)
            return Estimate(cost=costs[0] + (costs[1] | costs[2]), size=size)
        return Estimate(cost=sum(costs, ONE))

    def _standard(self, node: Call, overload: str, target: Operand | None, args: list[Operand]) -> Estimate | None:  # noqa: PLR0911 (one for each group of functions)
        """What cel-go charges by size for its own functions."""
        sizes = [arg.size or UNKNOWN for arg in args]
        aim = (target.size or UNKNOWN) if target is not None else None
        if overload in _ORDERINGS:
            most = min(sizes[0].high, sizes[1].high)
            return Estimate(cost=Range(1 if most else 0, most).scaled(TRAVERSAL))
        if overload in {"add_string", "add_bytes", "add_list"}:
            return self._added(node, overload, sizes)
        if overload == "contains_string" and aim is not None:
            return Estimate(cost=aim.scaled(TRAVERSAL) * sizes[0].scaled(TRAVERSAL))
        if overload in {"matches", "matches_string"}:
            text, pattern = sizes if aim is None else (aim, sizes[0])
            return Estimate(cost=(text + ONE).scaled(TRAVERSAL) * pattern.scaled(PATTERN))
        if overload == "string_format" and aim is not None:
            return Estimate(cost=aim.scaled(TRAVERSAL))
        if overload == "in_list":
            return Estimate(cost=sizes[1].scaled(1))
        return _scanned(overload, sizes)

    def _added(self, node: Call, overload: str, sizes: list[Range]) -> Estimate:
        self._keep(node, None, _union(self._entry_sizes(node.args[0]), self._entry_sizes(node.args[1])))
        size = sizes[0] + sizes[1]
        return Estimate(cost=ONE if overload == "add_list" else size.scaled(TRAVERSAL), size=size)

    def _push(self, name: str, local: _Local) -> None:
        self._locals.setdefault(name, []).append(local)

    def _push_value(self, name: str, node: Node) -> None:
        self._push(name, _Local(path=self._path(node), size=self._size(node), entries=self._entry_sizes(node)))

    def _push_variables(self, node: Comprehension) -> None:
        """The loop's variables, with their sizes and paths."""
        entries, path = self._entry_sizes(node.span), self._path(node.span)
        is_list = (entries.kind if entries is not None else self._type(node.span).kind) == "list"
        key, value = (entries.key, entries.value) if entries is not None else (None, None)
        keys = _Local(path=(*path, "@indices" if is_list else "@keys"), size=key, entries=None)
        values = _Local(path=(*path, "@items" if is_list else "@values"), size=value, entries=None)
        if node.second is not None:
            self._push(node.name, keys)
            self._push(node.second, values)
        else:
            self._push(node.name, values if is_list else keys)

    def _loop(self, node: Comprehension) -> Range:
        cost = self.cost(node.span) + self.cost(node.first)
        self._push_value(node.accu, node.first)
        self._push_variables(node)
        each = self.cost(node.condition) + self.cost(node.step)
        self._locals[node.name].pop()
        if node.second is not None:
            self._locals[node.second].pop()
        cost += self.cost(node.result)
        self._locals[node.accu].pop()
        count = self._sized(node.span)
        if isinstance(node.first, Literal):
            self._keep(node, self._size(node.first))
        elif isinstance(node.first, (ListOf, MapOf)):
            self._keep(node, count, self._entry_sizes(node.step))
        return cost + count * each

    def _binding(self, node: Comprehension) -> Range:
        cost = self.cost(node.span) + self.cost(node.first)
        self._push_value(node.accu, node.first)
        cost += self.cost(node.result)
        self._locals[node.accu].pop()
        self._keep(node, self._size(node.result), self._entry_sizes(node.result))
        return cost


def _literal_size(node: Node) -> Range | None:
    match node:
        case Literal(value=str() | bytes() as value):
            return fixed(len(value))
        case Literal():
            return ONE
        case ListOf():
            return fixed(len(node.elements))
        case MapOf():
            return fixed(len(node.entries))
        case _:
            return None


def _is_scalar(kind: CelType) -> bool:
    if kind.name == "optional_type" and kind.params:
        return _is_scalar(kind.params[0])
    return kind.kind in _SCALARS


def _scanned(overload: str, sizes: list[Range]) -> Estimate | None:
    """Functions that read their argument once."""
    if overload not in {
        "string_to_bytes",
        "bytes_to_string",
        "strings_quote",
        "starts_with_string",
        "ends_with_string",
    }:
        return None
    (size,) = sizes
    result = {
        "string_to_bytes": Range(size.low, size.high * 4 % (MAX_UINT + 1)),
        "bytes_to_string": Range(size.low // 4, size.high),
        "strings_quote": Range(size.low + 2, (size.high * 2 + 2) % (MAX_UINT + 1)),
    }.get(overload)
    return Estimate(cost=size.scaled(TRAVERSAL), size=result)

"""A checked expression as Python functions of a frame.

Each node becomes a closure, chosen by what the checker knows about its operands. With `counting` the closures charge a
meter as Kubernetes does, at some cost of their own; without it nothing is counted.
"""

from collections.abc import Callable

from amdgpu_dra.core.cel.attributes import Qualifier, read_attribute, test_attribute
from amdgpu_dra.core.cel.calls import Calls
from amdgpu_dra.core.cel.checker import Checked
from amdgpu_dra.core.cel.environment import Environment
from amdgpu_dra.core.cel.errors import CelRuntimeError, no_such_overload
from amdgpu_dra.core.cel.frames import DEVICE, FIRST_LOCAL, Frame, Run, Step, charge, constant, reader
from amdgpu_dra.core.cel.loops import Loop, bind, collect, fold, quantify
from amdgpu_dra.core.cel.prices import LIST_COST, MAP_COST, STRUCT_COST
from amdgpu_dra.core.cel.syntax import Call, Comprehension, Entry, Ident, ListOf, Literal, MapOf, Node, Select, Struct
from amdgpu_dra.core.cel.values import Optional, Value, map_key

__all__ = ["Plan", "plan"]


class Plan:
    """A planned expression: its function, and how many places for variables its frame needs."""

    __slots__ = ("run", "slots")

    def __init__(self, run: Run, slots: int) -> None:
        self.run = run
        self.slots = slots


def plan(checked: Checked, env: Environment, *, counting: bool) -> Plan:
    """Plans an expression.

    Raises:
        CelRuntimeError: a part of it that is computed beforehand fails: a conversion of a constant, a pattern.
    """
    planner = _Planner(checked, env, counting=counting)
    step = planner.step(checked.root)
    return Plan(step.run, planner.slots)


class _Planner:
    def __init__(self, checked: Checked, env: Environment, *, counting: bool) -> None:
        self._checked = checked
        self._env = env
        self._counting = counting
        self._scopes: list[dict[str, Run]] = []
        self._calls = Calls(checked, env, counting=counting)
        self.slots = 0

    def step(self, node: Node) -> Step:  # noqa: PLR0911 (one for each kind of node)
        """Plans one node."""
        match node:
            case Literal():
                return constant(node.value)
            case Ident():
                return self._ident(node)
            case Select():
                return self._ident(node) if node.id in self._checked.names else self._select(node)
            case Call():
                return self._call(node)
            case ListOf():
                return self._list(node)
            case MapOf():
                return self._map(node)
            case Struct():
                return self._struct(node)
            case Comprehension():
                return Step(run=self._comprehension(node))

    def _attribute(self, bare: Run, own: int = 1) -> Step:
        """A variable or a chain of selections; `own` is what reading it costs beside the selections."""
        if not self._counting or not own:
            return Step(run=bare, attribute=True, bare=bare, own=own)

        def run(frame: Frame) -> Value:
            try:
                return bare(frame)
            finally:
                charge(frame, 1)

        return Step(run=run, attribute=True, bare=bare, own=own)

    def _ident(self, node: Ident | Select) -> Step:
        name = self._checked.names[node.id]
        if not name.startswith("."):
            read = next(scope[name] for scope in reversed(self._scopes) if name in scope)
            return self._attribute(read)
        if name[1:] in self._env.types:
            return constant(self._env.types[name[1:]])
        return self._attribute(reader(DEVICE))

    def _select(self, node: Select) -> Step:
        operand = self.step(node.operand)
        wide = self._may_be_optional(node.operand)
        key = Qualifier(key=constant(node.field), optional=False)
        if node.test_only:
            run = test_attribute(operand, key, wide=wide, counting=self._counting)
            return Step(run=run)
        return self._qualify(operand, key, wide=wide)

    def _qualify(self, operand: Step, key: Qualifier, *, wide: bool) -> Step:
        bare = read_attribute(operand, key, wide=wide, counting=self._counting)
        return self._attribute(bare, operand.own if operand.attribute else 1)

    def _may_be_optional(self, node: Node) -> bool:
        kind = self._checked.types[node.id]
        return kind.is_dyn or kind.name == "optional_type"

    def _call(self, node: Call) -> Step:
        special = {
            "_&&_": self._logical,
            "_||_": self._logical,
            "_?_:_": self._conditional,
            "_[_]": self._index,
            "_[?_]": self._index,
            "_?._": self._index,
            "@not_strictly_false": self._not_strictly_false,
        }.get(node.function)
        if special is not None and node.target is None:
            return special(node)
        function = self._checked.functions.get(node.id, node.function.removeprefix("."))
        targeted = node.target is not None and node.id not in self._checked.functions
        nodes = (node.target, *node.args) if targeted and node.target is not None else node.args
        args = [self.step(arg) for arg in nodes]
        if function in {"or", "orValue"} and targeted:
            return Step(run=_or(args[0].run, args[1].run, unwrap=function == "orValue"))
        return self._calls.plan(node, function, list(nodes), args)

    def _logical(self, node: Call) -> Step:
        return Step(run=_logical([self.step(arg).run for arg in node.args], stop=node.function == "_||_"))

    def _conditional(self, node: Call) -> Step:
        condition, yes, no = (self.step(arg) for arg in node.args)
        test, then, other = condition.run, yes.inner, no.inner

        def run(frame: Frame) -> Value:
            chosen = test(frame)
            if chosen is True:
                return then(frame)
            if chosen is False:
                return other(frame)
            raise no_such_overload()

        return Step(run=run, attribute=True, bare=run, own=0)

    def _index(self, node: Call) -> Step:
        operand = self.step(node.args[0])
        key = Qualifier(key=self.step(node.args[1]), optional=node.function != "_[_]")
        return self._qualify(operand, key, wide=self._may_be_optional(node.args[0]))

    def _not_strictly_false(self, node: Call) -> Step:
        inner, counting = self.step(node.args[0]).run, self._counting

        def run(frame: Frame) -> Value:
            try:
                value = inner(frame)
            except CelRuntimeError:
                value = True
            if counting:
                charge(frame, 1)
            return value is not False

        return Step(run=run)

    def _list(self, node: ListOf) -> Step:
        steps = [self.step(element) for element in node.elements]
        runs = [step.run for step in steps]
        optional, counting = node.optional, self._counting
        if all(step.constant for step in steps) and not optional:
            return constant(tuple(step.value for step in steps))

        def run(frame: Frame) -> Value:
            try:
                return tuple(_present(runs, optional, frame) if optional else [part(frame) for part in runs])
            finally:
                if counting:
                    charge(frame, LIST_COST)

        return Step(run=run)

    def _map(self, node: MapOf) -> Step:
        entries = [self._entry(entry) for entry in node.entries]
        counting = self._counting
        if all(key.constant and value.constant for key, value, _ in entries):
            return constant(_entries(entries, []))

        def run(frame: Frame) -> Value:
            try:
                return _entries(entries, frame)
            finally:
                if counting:
                    charge(frame, MAP_COST)

        return Step(run=run)

    def _entry(self, entry: Entry) -> tuple[Step, Step, bool]:
        assert not isinstance(entry.key, str)  # noqa: S101 (only a struct's is)
        return self.step(entry.key), self.step(entry.value), entry.optional

    def _struct(self, node: Struct) -> Step:
        values = [self.step(entry.value).run for entry in node.entries]
        zero = _ZEROS.get(self._checked.types[node.id].kind)
        counting, name = self._counting, node.name.removeprefix(".")

        def run(frame: Frame) -> Value:
            try:
                found = [value(frame) for value in values]
            finally:
                if counting:
                    charge(frame, STRUCT_COST)
            if zero is None:
                raise CelRuntimeError(f"unknown type '{name}'")
            return found[-1] if found else zero

        return Step(run=run)

    def _slot(self) -> int:
        self.slots += 1
        return FIRST_LOCAL + self.slots - 1

    def _comprehension(self, node: Comprehension) -> Run:
        accu = self._slot()
        first = self.step(node.first).run
        reading = {node.accu: reader(accu, first)}
        if node.is_binding:
            return bind(accu, self._within(node.result, reading).run)
        loop = Loop(
            span=self.step(node.span).run,
            name=self._slot(),
            second=None if node.second is None else self._slot(),
            accu=accu,
        )
        names = {node.name: reader(loop.name)}
        if node.second is not None and loop.second is not None:
            names[node.second] = reader(loop.second)
        inside: Callable[[Node], Step] = lambda part: self._within(part, reading, names)  # noqa: E731 (short)
        simple = self._simple_loop(node, loop, inside)
        if simple is not None:
            return simple
        return fold(loop, inside(node.condition).run, inside(node.step).run, self._within(node.result, reading).run)

    def _simple_loop(self, node: Comprehension, loop: Loop, inside: Callable[[Node], Step]) -> Run | None:
        step = node.step
        assert isinstance(step, Call)  # noqa: S101 (so macros write it)
        if node.macro in {"map", "filter"}:
            filtered = step.function == "_?_:_"
            added = step.args[1] if filtered else step
            assert isinstance(added, Call)  # noqa: S101 (as above)
            assert isinstance(added.args[1], ListOf)  # noqa: S101 (as above)
            condition = inside(step.args[0]).run if filtered else None
            return collect(loop, condition, inside(added.args[1].elements[0]), counting=self._counting)
        if self._counting or node.macro not in {"all", "exists", "exists_one"}:
            return None
        return quantify(node.macro, loop, inside(step.args[0 if node.macro == "exists_one" else 1]).run)

    def _within(self, node: Node, *scopes: dict[str, Run]) -> Step:
        self._scopes += scopes
        try:
            return self.step(node)
        finally:
            del self._scopes[-len(scopes) :]


_ZEROS: dict[str, Value] = {"bool": False, "bytes": b"", "double": 0.0, "int": 0, "uint": 0, "string": ""}


def _logical(terms: list[Run], *, stop: bool) -> Run:
    """`&&` and `||`: a term that decides wins over errors of others."""

    def run(frame: Frame) -> Value:
        fault: CelRuntimeError | None = None
        for term in terms:
            try:
                value = term(frame)
            except CelRuntimeError as error:
                if fault is None:
                    fault = error
                continue
            if value is stop:
                return stop
            if value is not True and value is not False and fault is None:
                fault = no_such_overload()
        if fault is not None:
            raise fault
        return not stop

    return run


def _or(left: Run, right: Run, *, unwrap: bool) -> Run:
    def run(frame: Frame) -> Value:
        value = left(frame)
        if not isinstance(value, Optional):
            raise no_such_overload()
        if not value.present:
            return right(frame)
        return value.value if unwrap else value

    return run


def _entries(entries: list[tuple[Step, Step, bool]], frame: Frame) -> Value:
    """A map, without optional entries that are absent; of entries with one key the last."""
    out: dict[Value, Value] = {}
    for key, value, optional in entries:
        name, found = key.run(frame), value.run(frame)
        if optional:
            if not isinstance(found, Optional):
                raise CelRuntimeError("cannot initialize optional entry from a value that is not optional")
            if not found.present:
                continue
            found = found.value
        out[map_key(name)] = found
    return out


def _present(runs: list[Run], optional: frozenset[int], frame: Frame) -> list[Value]:
    """A list's elements, without optional ones that are absent."""
    out = []
    for place, part in enumerate(runs):
        value = part(frame)
        if place in optional:
            if not isinstance(value, Optional):
                raise CelRuntimeError("cannot initialize optional list element from a value that is not optional")
            if not value.present:
                continue
            value = value.value
        out.append(value)
    return out

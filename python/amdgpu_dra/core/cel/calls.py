"""Calls of functions and operators: the overload is chosen beforehand where types allow, else by the values."""

from collections.abc import Callable
from dataclasses import replace

from amdgpu_dra.core.cel.assign import is_wide
from amdgpu_dra.core.cel.checker import Checked
from amdgpu_dra.core.cel.environment import Environment
from amdgpu_dra.core.cel.errors import CelRuntimeError, no_such_overload
from amdgpu_dra.core.cel.frames import Frame, Run, Step, charge, constant
from amdgpu_dra.core.cel.guards import Guard, guard, known
from amdgpu_dra.core.cel.index import is_in
from amdgpu_dra.core.cel.kinds import DYN, NULL, CelType, list_of
from amdgpu_dra.core.cel.nameformats import Format
from amdgpu_dra.core.cel.operators import compare
from amdgpu_dra.core.cel.overloads import Overload
from amdgpu_dra.core.cel.patterns import compile_pattern
from amdgpu_dra.core.cel.runtime_cost import call_cost
from amdgpu_dra.core.cel.semver import Semver
from amdgpu_dra.core.cel.syntax import Call, Node
from amdgpu_dra.core.cel.values import Optional, Uint, Value, contains, equal, type_name, unlike

__all__ = ["Calls"]

type Apply = Callable[..., Value]

_CONVERSIONS = frozenset(["bool", "bytes", "double", "dyn", "duration", "int", "string", "timestamp", "type", "uint"])
_PATTERNS = frozenset({"matches", "find", "findAll"})
# Cheap and free of effects: with fixed arguments their result is fixed.
_FOLDED = frozenset(
    [
        "quantity",
        "isQuantity",
        "semver",
        "isSemver",
        "ip",
        "isIP",
        "cidr",
        "isCIDR",
        "url",
        "isURL",
        "lowerAscii",
        "upperAscii",
    ]
)
# What Go cannot look up in the set that it makes of a constant list.
_UNHASHABLE = (bytes, Semver, Format)
_ATOMS = (str, bool, int, float, type(None))
_ORDERINGS: dict[str, tuple[bool, bool, bool]] = {
    "_<_": (True, False, False),
    "_<=_": (True, True, False),
    "_>_": (False, False, True),
    "_>=_": (False, True, True),
}


class Calls:
    """Plans calls of one expression."""

    def __init__(self, checked: Checked, env: Environment, *, counting: bool) -> None:
        self._checked = checked
        self._env = env
        self._counting = counting
        # Where a null is written, it may stand for a value of many a type.
        self._exact = all(kind != NULL for kind in checked.types.values())

    def plan(self, node: Call, function: str, nodes: list[Node], args: list[Step]) -> Step:
        """One call with its arguments planned.

        Raises:
            CelRuntimeError: it is computed beforehand and fails.
        """
        if function == "@in" and (members := self._members(node, args[1])) is not None:
            return _membership(args[0].run, members, empty=not args[1].value)
        if function in _PATTERNS and args[1].constant:
            compile_pattern(str(args[1].value))
        apply = self._apply(node, function, nodes)
        if function in _PATTERNS and args[1].constant and is_wide(self._checked.types[nodes[0].id]):
            apply = _unwrapping(apply)
        if function in _CONVERSIONS and len(args) == 1 and args[0].constant:
            return constant(apply(args[0].value))
        if self._counting:
            # Go computes both arguments of a call before it looks for errors, but not for these two.
            eager = len(args) <= 2 and function != "format" and not (function in _PATTERNS and args[1].constant)  # noqa: PLR2004 (two arguments)
            return Step(
                run=_counted((function, self._overload_id(node)), [arg.run for arg in args], apply, eager=eager)
            )
        if function in _FOLDED and all(arg.fixed for arg in args):
            return _folded(apply, [arg.value for arg in args])
        return Step(run=self._quick(function, args, apply))

    def _overload_id(self, node: Call) -> str:
        chosen = self._checked.overloads[node.id]
        return chosen[0].id if len(chosen) == 1 else ""

    def _members(self, node: Call, target: Step) -> tuple[Value, ...] | None:
        """The values of a constant list that `in` looks up at once."""
        if not target.constant or self._overload_id(node) != "in_list" or not isinstance(target.value, tuple):
            return None
        return target.value if all(isinstance(value, _ATOMS) for value in target.value) else None

    def _apply(self, node: Call, function: str, nodes: list[Node]) -> Apply:
        if function == "_==_":
            return equal
        if function == "_!=_":
            return unlike
        if function == "@in":
            return is_in
        chosen = self._checked.overloads[node.id]
        if len(chosen) == 1 and self._exact and all(known(self._checked.types[part.id]) for part in nodes):
            return chosen[0].run
        candidates = chosen if len(chosen) == 1 else self._candidates(function, len(nodes))
        if all(candidate.run is candidates[0].run for candidate in candidates) and function.startswith(("_", "-", "!")):
            return candidates[0].run
        return _dispatch(function, candidates)

    def _candidates(self, function: str, count: int) -> tuple[Overload, ...]:
        return tuple(one for one in self._env.functions[function] if len(one.params) == count)

    def _quick(self, function: str, args: list[Step], apply: Apply) -> Run:
        """The closures that are worth being special."""
        if function in {"_==_", "_!=_"} and args[1].fixed:
            return _equals_fixed(args[0].run, args[1].value, wanted=function == "_==_")
        if function in _ORDERINGS:
            return _ordering(args[0].run, args[1], _ORDERINGS[function])
        runs = [arg.run for arg in args]
        if len(runs) == 1:
            (only,) = runs
            return lambda frame: apply(only(frame))
        if len(runs) == 2:  # noqa: PLR2004 (two arguments)
            return _binary(runs[0], args[1], apply)
        return lambda frame: apply(*[run(frame) for run in runs])


def _judged(candidate: Overload) -> tuple[CelType, ...]:
    """The types that arguments are judged by; of `flatten` Go looks at the list alone, not at what it holds."""
    if candidate.id.startswith("list_flatten"):
        return (list_of(DYN), *candidate.params[1:])
    return candidate.params


def _dispatch(function: str, candidates: tuple[Overload, ...]) -> Apply:
    """Chooses by the arguments' values."""
    rows: list[tuple[list[tuple[int, Guard]], Apply]] = []
    for candidate in candidates:
        tests = [(place, test) for place, kind in enumerate(_judged(candidate)) if (test := guard(kind)) is not None]
        rows.append((tests, candidate.run))

    def apply(*args: Value) -> Value:
        for tests, run in rows:
            for place, test in tests:
                if not test(args[place]):
                    break
            else:
                return run(*args)
        raise no_such_overload(function)

    return apply


def _unwrapping(apply: Apply) -> Apply:
    """Go reads the text through optional values where the pattern is a constant."""

    def run(text: Value, *rest: Value) -> Value:
        while isinstance(text, Optional) and text.present:
            text = text.value
        return apply(text, *rest)

    return run


def _counted(name: tuple[str, str], runs: list[Run], apply: Apply, *, eager: bool) -> Run:
    """A call that charges for itself, with errors of arguments as well, as long as Go has computed them all."""
    function, overload = name

    def run(frame: Frame) -> Value:
        fault: CelRuntimeError | None = None
        values: list[Value] = []
        for part in runs:
            try:
                values.append(part(frame))
            except CelRuntimeError as error:
                fault = fault or error
                values.append(None)
                if not eager and len(values) < len(runs):
                    raise
        result: Value = None
        if fault is None:
            try:
                result = apply(*values)
            except CelRuntimeError as error:
                fault = error
        charge(frame, call_cost(function, overload, values, result))
        if fault is not None:
            raise fault
        return result

    return run


def _folded(apply: Apply, values: list[Value]) -> Step:
    """A call whose result, or error, is known."""
    try:
        value = apply(*values)
    except CelRuntimeError as error:
        text = str(error)

        def fail(_frame: Frame) -> Value:
            raise CelRuntimeError(text)

        return Step(run=fail)
    return replace(constant(value), constant=False)


def _membership(wanted: Run, members: tuple[Value, ...], *, empty: bool) -> Step:
    if empty:
        return constant(False)
    names = frozenset(member for member in members if isinstance(member, str))
    others = tuple(member for member in members if not isinstance(member, str))

    def among(frame: Frame) -> Value:
        value = wanted(frame)
        if type(value) is str:
            return value in names
        if isinstance(value, _UNHASHABLE):
            raise CelRuntimeError(f"internal error: hash of unhashable type {type_name(value)}")
        return isinstance(value, _ATOMS) and contains(others, value)

    return Step(run=among)


def _equals_fixed(left: Run, value: Value, *, wanted: bool) -> Run:
    """Compared with a constant; of the same simple type Python's own comparison does."""
    kind = type(value)
    if kind not in {str, int, bool, Uint}:
        judge = equal if wanted else unlike
        return lambda frame: judge(left(frame), value)
    if wanted:

        def equals(frame: Frame) -> Value:
            found = left(frame)
            return found == value if type(found) is kind else equal(found, value)

        return equals

    def differs(frame: Frame) -> Value:
        found = left(frame)
        return found != value if type(found) is kind else unlike(found, value)

    return differs


def _ordering(left: Run, right: Step, outcomes: tuple[bool, bool, bool]) -> Run:
    less, same, more = outcomes
    table = {-1: less, 0: same, 1: more}
    if right.fixed and type(right.value) is int:
        bound = right.value

        def against(frame: Frame) -> Value:
            found = left(frame)
            if type(found) is int:
                return less if found < bound else same if found == bound else more
            return table[compare(found, bound)]

        return against
    other = right.run
    return lambda frame: table[compare(left(frame), other(frame))]


def _binary(left: Run, right: Step, apply: Apply) -> Run:
    if right.fixed:
        value = right.value
        return lambda frame: apply(left(frame), value)
    other = right.run
    return lambda frame: apply(left(frame), other(frame))

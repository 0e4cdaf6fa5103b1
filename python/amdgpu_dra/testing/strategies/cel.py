"""Random questions to Kubernetes' CEL, in the form of the recorded cases: a typed grammar, and now and then a slip.

A rule is text in which `<int>` stands for any expression of that type, and `<bool x=int>` for one that may also use the
variable `x`. Maps are only asked in ways that do not depend on the order of their keys, which is Go's secret.
"""

import re
from typing import Any

from hypothesis import strategies as st

from amdgpu_dra.testing.strategies.cel_rules import ATOMS, RULES

__all__ = ["cel_cases", "cel_expressions"]

_HOLE = re.compile(r"(?<!P)<(?P<kind>\w+)(?P<binds>(?: \w+=\w+)*)>")
_DEEPEST = 4
_SLIP = 60  # one hole in so many is filled with an expression of any type

_ATTRIBUTES: dict[str, dict[str, Any]] = {
    "s": {"string": "amdgpu"},
    "i": {"int": 3},
    "b": {"bool": True},
    "v": {"version": "6.12.12"},
    "ss": {"strings": ["SPX", "CPX"]},
    "is": {"ints": [1, 2, 3]},
    "bs": {"bools": [True, False]},
    "vs": {"versions": ["1.0.0", "1.2.3-rc.1"]},
    "other.com/s": {"string": "äöü 😀"},
    "other.com/i": {"int": -9223372036854775808},
    "resource.kubernetes.io/pcieRoot": {"string": "pci0000:00"},
}
_CAPACITY: dict[str, dict[str, Any]] = {
    "m": {"value": "192Gi"},
    "n": {"value": "0.5"},
    "other.com/m": {"value": "-1500m"},
}


@st.composite
def cel_expressions(draw: st.DrawFn, kind: str = "bool", depth: int = _DEEPEST) -> str:
    """An expression, mostly of the type."""
    return _expand(draw, kind, {}, draw(st.integers(0, depth)))


def _expand(draw: st.DrawFn, kind: str, scope: dict[str, str], depth: int) -> str:
    if draw(st.integers(1, _SLIP)) == _SLIP:
        kind = draw(st.sampled_from(sorted(ATOMS)))
    variables = [name for name, of in scope.items() if of == kind]
    atoms = [*ATOMS[kind], *variables * 3]
    rule = draw(st.sampled_from([*RULES.get(kind, ()), *variables] if depth > 0 and kind in RULES else atoms))

    def fill(hole: re.Match[str]) -> str:
        inner = dict(scope)
        for bind in hole["binds"].split():
            name, _, of = bind.partition("=")
            inner[name] = of
        return _expand(draw, hole["kind"], inner, depth - 1)

    return _HOLE.sub(fill, rule)


def _some(table: dict[str, dict[str, Any]]) -> st.SearchStrategy[dict[str, dict[str, Any]]]:
    """The table, with or without some of its rows."""
    return st.just(table) | st.sets(st.sampled_from(sorted(table))).map(
        lambda gone: {name: row for name, row in table.items() if name not in gone}
    )


_DEVICES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"driver": st.just("gpu.amd.com"), "attributes": _some(_ATTRIBUTES), "capacity": _some(_CAPACITY)},
    optional={"allowMultipleAllocations": st.booleans()},
)
_GATES = ("newExpressions", "listTypeAttributes", "derived")
_OPTIONS: st.SearchStrategy[dict[str, bool]] = st.just({}) | st.fixed_dictionaries(
    {}, optional={"consumableCapacity": st.just(False)} | {name: st.just(True) for name in _GATES}
)


@st.composite
def cel_cases(draw: st.DrawFn) -> dict[str, Any]:
    """An expression, the device that it runs on, and the options that it is compiled with."""
    options = draw(_OPTIONS)
    kind = (
        draw(st.sampled_from(["string", "int", "strings", "semver", "bool", "ints"]))
        if "derived" in options
        else "bool"
    )
    return {"expression": draw(cel_expressions(kind)), "device": draw(_DEVICES), "options": options}

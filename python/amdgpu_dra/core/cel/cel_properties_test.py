import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from amdgpu_dra.core.cel import (
    CelCompileError,
    CelRuntimeError,
    Program,
    bind_device,
    compile_derived,
    compile_selector,
)
from amdgpu_dra.core.cel.runtime_cost import Meter
from amdgpu_dra.core.cel.values import MAX_UINT

_DEVICE = bind_device(
    "gpu.amd.com",
    {
        "attributes": {
            "type": {"string": "amdgpu"},
            "index": {"int": 3},
            "healthy": {"bool": True},
            "driverVersion": {"version": "6.12.12"},
            "modes": {"strings": ["SPX", "CPX"]},
        },
        "capacity": {"memory": {"value": "192Gi"}},
    },
)
_WORDS = (
    "device.driver", "device.attributes", "device.capacity", '["gpu.amd.com"]', ".type", ".index", ".healthy", ".modes",
    ".driverVersion", ".memory", ".nope", ".?nope", ".orValue(", "has(", "(", ")", "[", "]", "{", "}", ",", ":", "?",
    "==", "!=", "<", ">=", "in", "&&", "||", "!", "-", "+", "*", "/", "%", "1", "0", "2.5", "3u", '"a"', "b'x'", "true",
    "false", "null", ".all(x, ", ".exists(x, ", ".map(x, ", "x", ".size()", ".startsWith(", ".matches(", "quantity(",
    "semver(", '"1.2.3"', "cel.bind(x, ", "optional.of(", "type(", "int", "dyn(", "//", "\n", "'", '"', "\\",
)  # fmt: skip


@pytest.mark.filterwarnings("ignore:The recursion limit will not be reset")  # a deep expression raises it, for good
@given(st.text() | st.lists(st.sampled_from(_WORDS), max_size=20).map(" ".join))
@example("(" * 300)
@example("[" * 200 + "]" * 200)
@example("-" * 5000 + "1")
@example("1" + " + 1" * 2000)
@example("true" + " && true" * 2000)
@example("x" + ".y" * 2000)
@example('"a".matches("(((((((((((((((((((((((")')
@example("1e10000000")
@example("9" * 5000)
def test_any_text(text: str) -> None:
    """Whatever is written compiles or is refused with a text that says why."""
    for compile_ in (compile_selector, compile_derived):
        found: Program | str
        try:
            found = compile_(text)
        except CelCompileError as fault:
            found = str(fault)
        assert isinstance(found, Program) or found


def _bools(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.tuples(inner, inner)
    return (
        pair.map(lambda two: f"({two[0]} && {two[1]})")
        | pair.map(lambda two: f"({two[0]} || {two[1]})")
        | pair.map(lambda two: f"({two[0]} ? {two[1]} : {two[0]})")
        | inner.map(lambda one: f"!({one})")
        | pair.map(lambda two: f"[{two[0]}, {two[1]}].exists(b, b)")
        | pair.map(lambda two: f"[{two[0]}].map(b, b || {two[1]}).all(b, b)")
        | pair.map(lambda two: f"cel.bind(y, {two[0]}, y && {two[1]})")
        | pair.map(lambda two: f"optional.of({two[0]}).orValue({two[1]})")
        | inner.map(lambda one: f"device.attributes.exists_one(d, d.size() > 3 && ({one}))")
    )


_A, _K = 'device.attributes["gpu.amd.com"]', 'device.capacity["gpu.amd.com"]'
_ATOMS = st.sampled_from(
    [
        "true",
        "false",
        "1 / 0 == 1",
        f'{_A}.type == "amdgpu"',
        f"{_A}.index > 2",
        f"{_A}.nope == 1",
        f"has({_A}.nope)",
        f"dyn({_A}.healthy) == true",
        f"dyn({_A}.index) == true",
        f'{_A}.driverVersion.isLessThan(semver("6.13.0"))',
        f'{_A}.driverVersion == "6.12.12"',
        f'{_K}.memory.compareTo(quantity("128Gi")) > 0',
        f'{_A}.?nope.orValue("x") in ["x", "y"]',
        f'{_A}.modes.exists(m, m.matches("^C"))',
        f"[3, 1, 2].sort()[0] == {_A}.index - 2",
        f"{_A}.all(k, {_A}[k] != 'nope')",
    ]
)
_EXPRESSIONS = st.recursive(_ATOMS, _bools, max_leaves=8)


def _outcome(run: object) -> object:
    try:
        return run()  # type: ignore[operator] # a function without arguments
    except CelRuntimeError as fault:
        return str(fault)


@given(_EXPRESSIONS)
def test_total(expression: str) -> None:
    """An expression that compiles gives a bool or an error of its own on a device, and the same each time."""
    try:
        program = compile_selector(expression)
    except CelCompileError:
        return
    first = _outcome(lambda: program.matches(_DEVICE))
    assert isinstance(first, (bool, str))
    assert _outcome(lambda: program.matches(_DEVICE)) == first


@given(_EXPRESSIONS)
def test_counting_changes_nothing(expression: str) -> None:
    """The way that counts cost and the way that does not come to the same."""
    try:
        program = compile_selector(expression)
    except CelCompileError:
        return
    counted = _outcome(lambda: program._counted(_DEVICE, Meter(MAX_UINT)))
    plain = _outcome(lambda: program._evaluate(_DEVICE))
    assert isinstance(counted, str) == isinstance(plain, str)
    assert isinstance(plain, str) or counted == plain


@given(_EXPRESSIONS, st.integers(0, 60))
def test_cost_limit(expression: str, limit: int) -> None:
    """A limit cancels exactly what costs more than it."""
    try:
        program = compile_selector(expression)
    except CelCompileError:
        return
    within = program.cost(_DEVICE) <= limit
    found = _outcome(lambda: program._counted(_DEVICE, Meter(limit)))
    assert (found == "operation cancelled: actual cost limit exceeded") != within

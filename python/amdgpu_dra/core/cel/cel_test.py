import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from amdgpu_dra.core.cel import (
    AttributeRead,
    CelCompileError,
    CelOptions,
    CelRuntimeError,
    bind_device,
    compile_derived,
    compile_selector,
)

_DEVICE = bind_device(
    "gpu.amd.com",
    {
        "attributes": {
            "type": {"string": "amdgpu"},
            "index": {"int": 3},
            "driverVersion": {"version": "6.12.12"},
            "other.com/x": {"bool": True},
            "modes": {"strings": ["SPX", "CPX"]},
        },
        "capacity": {"memory": {"value": "192Gi"}},
    },
)
_A = 'device.attributes["gpu.amd.com"]'


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (
            "device.driver == 5",
            "1:15: found no matching overload for '_==_' applied to '(string, int)'\n | device.driver == 5\n",
        ),
        ("device.nope == 1", "<input>:1:7: undefined field 'nope'"),
        ("true &&\n nope", "<input>:2:2: undeclared reference to 'nope' (in container '')"),
        ("device.driver", "must evaluate to bool or the unknown type, not string"),
        ('int("12x") == 12', "program instantiation failed: type conversion error from 'string' to 'int'"),
        ('"a".find("(?=a)") == ""', "invalid or unsupported Perl syntax: `(?=`"),
        ('"a".find("(a)\\\\1") == ""', "invalid escape sequence: `\\1`"),
        ("[1, 'a'].size() == 2", "expected type 'int' but found 'string'"),
        ('device.capacity["x"].memory == "192Gi"', "applied to '(kubernetes.Quantity, string)'"),
        ("has(device)", "invalid argument to has() macro"),
    ],
)  # fmt: skip
def test_compile_error(expression: str, text: str) -> None:
    """A fault that needs no device is found when compiling, and the text shows where it is."""
    with pytest.raises(CelCompileError) as fault:
        compile_selector(expression)
    assert text in str(fault.value)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (f"{_A}.nope == 1", "no such key: nope"),
        (f'{_A}.driverVersion == "6.12.12"', "no such overload"),
        (f"{_A}.type", "CEL result of type string could not be converted to bool"),
        ('quantity("x").isInteger()', "quantities must match the regular expression"),
        ("[1][2] == 1", "index out of bounds: 2"),
    ],
)
def test_runtime_error(expression: str, text: str) -> None:
    """An error on a device says what was missing or did not fit."""
    with pytest.raises(CelRuntimeError) as fault:
        compile_selector(expression).matches(_DEVICE)
    assert text in str(fault.value)


def test_unreadable_device() -> None:
    """A device with an attribute of no known type fails every expression, and says which attribute."""
    broken = bind_device("d", {"attributes": {"broken": {}}})
    with pytest.raises(CelRuntimeError, match="attribute broken: unsupported attribute value"):
        compile_selector("true").matches(broken)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (f"{_A}.index * 2", {"int": 6}),
        (f'{_A}.type + "!"', {"string": "amdgpu!"}),
        (f"{_A}.driverVersion", {"version": "6.12.12"}),
        (f"{_A}.modes.map(m, m.lowerAscii())", {"strings": ["spx", "cpx"]}),
        ("[].map(x, x)", {}),
    ],
)
def test_derived(expression: str, value: dict[str, object]) -> None:
    """A derived attribute comes in the form of a slice's attribute."""
    assert compile_derived(expression).value(_DEVICE) == value


def test_names_without_domain() -> None:
    """Names without a domain are the driver's; an unknown domain reads as empty, and is not in the map."""
    assert compile_selector('device.attributes["other.com"].x').matches(_DEVICE)
    assert compile_selector('device.attributes["nowhere"].size() == 0').matches(_DEVICE)
    assert not compile_selector('"nowhere" in device.attributes').matches(_DEVICE)


def test_environments() -> None:
    """New expressions see only the fields whose gate is on; stored ones see all."""
    expression = "device.allowMultipleAllocations"
    assert not compile_selector(expression, CelOptions(consumable_capacity=False)).matches(_DEVICE)
    with pytest.raises(CelCompileError, match="undefined field"):
        compile_selector(expression, CelOptions(consumable_capacity=False, new_expressions=True))
    with pytest.raises(CelCompileError, match="includes"):
        compile_selector(f'{_A}.modes.includes("SPX")', CelOptions(new_expressions=True))
    assert compile_selector(f'{_A}.modes.includes("SPX")').matches(_DEVICE)


def test_too_long_and_too_expensive() -> None:
    """What the API server refuses in new objects compiles all the same, and is marked."""
    long = compile_selector("true //" + "x" * 10_240)
    assert (long.too_long, long.too_expensive, long.matches(_DEVICE)) == (True, False, True)
    costly = compile_selector("lists.range(1000).all(x, lists.range(1000).all(y, x + y >= 0))")
    assert (costly.too_long, costly.too_expensive, costly.max_cost) == (False, True, 8_016_012)
    with pytest.raises(CelRuntimeError, match="actual cost limit exceeded"):
        costly.matches(_DEVICE)


def test_attribute_reads() -> None:
    """The names that an expression reads are told, through variables too, and whether it asks for them first."""
    expression = (
        f"cel.bind(a, {_A}, a.type == 'x' && has(a.index) && a.index == 1) || 'p' in {_A} && {_A}.?q.hasValue()"
        " || device.capacity['gpu.amd.com'].memory.isInteger() || device.attributes.exists(d, d == 'z')"
    )
    assert compile_selector(expression).attribute_reads == (
        AttributeRead(domain="gpu.amd.com", id="index", capacity=False, guarded=True),
        AttributeRead(domain="gpu.amd.com", id="memory", capacity=True, guarded=False),
        AttributeRead(domain="gpu.amd.com", id="p", capacity=False, guarded=True),
        AttributeRead(domain="gpu.amd.com", id="q", capacity=False, guarded=True),
        AttributeRead(domain="gpu.amd.com", id="type", capacity=False, guarded=False),
    )


def test_sums_of_quantities() -> None:
    """A sum equals on the left of a comparison and is an error on its right, as it is in Kubernetes."""
    assert compile_selector('quantity("1").add(quantity("1")) == quantity("2")').matches(_DEVICE)
    with pytest.raises(CelRuntimeError):
        compile_selector('quantity("2") == quantity("1").add(quantity("1"))').matches(_DEVICE)


def test_unlike_never_fails() -> None:
    """`!=` holds of values that `==` cannot compare."""
    assert compile_selector(f'{_A}.driverVersion != "6.12.12"').matches(_DEVICE)


def test_deep_expressions() -> None:
    """Expressions as deep as the parser allows compile and run."""
    assert compile_selector("(" * 240 + "true" + ")" * 240).matches(_DEVICE)
    assert compile_selector("1" + " + 1" * 240 + " == 241").matches(_DEVICE)


@pytest.mark.parametrize(
    ("before", "inside", "after", "most"),
    [
        ("(", "true", ")", 249),
        ("", "1", " + 1", 250),
        ("(1 + ", "1", ")", 124),
        ("", "dyn({})", ".a", 250),
        ("true ? false : ", "true", "", 249),
        ("", "true", " == true", 250),
        ("[", "", "]", 250),
    ],
)
def test_deepest(before: str, inside: str, after: str, most: int) -> None:
    """The depth at which expressions are refused is that of Kubernetes' parser."""
    assert not _too_deep(before * most + inside + after * most)
    assert _too_deep(before * (most + 1) + inside + after * (most + 1))


def _too_deep(expression: str) -> bool:
    try:
        compile_selector(expression)
    except CelCompileError as fault:
        return "recursion limit exceeded" in str(fault)
    return False


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("quantity('1').sub(-9223372036854775808).isLessThan(quantity('0'))", True),
        ("quantity('-5').sub(-9223372036854775808).isLessThan(quantity('0'))", False),
        ("[dyn(1), dyn('a')].isSorted() && [dyn('a'), dyn(2)].max() == 'a'", True),
        ("string(timestamp('2024-07-01T00:00:00+02:00') + duration('1s')) == '2024-07-01T00:00:01+02:00'", True),
        ("timestamp('9999-12-31T23:59:59Z').getFullYear('Europe/Berlin') == 10000", True),
        ("timestamp('0001-01-01T00:00:00Z').getFullYear('America/New_York') == 0", True),
        ("timestamp(0).getHours('+99:99') == 4 && timestamp(0).getHours('-0:30') == 23", True),
        ("format.qualifiedName().validate('a/').value().size() == 2", True),
        ("'[%e]'.format([double('inf')]) == '[     ∞]'", True),
        ("dyn(optional.of('a')).matches('a')", True),
    ],
)
def test_found_by_random_questions(expression: str, found: object) -> None:
    """What random questions found to differ from Kubernetes no longer does."""
    assert compile_selector(expression).matches(_DEVICE) is found


@pytest.mark.parametrize("expression", ["(false ? quantity('1') : null).isInteger()", "null.optMap(x, 1).hasValue()"])
def test_null_for_a_value(expression: str) -> None:
    """A null where the types allow it in place of a value is an error of the expression."""
    with pytest.raises(CelRuntimeError, match="no such overload"):
        compile_selector(expression).matches(_DEVICE)


@pytest.mark.parametrize(
    "expression",
    ["[1].existsOne(x, true)", "kubernetes.Quantity == int", "duration(null) == null", "timestamp(null) == null"],
)
def test_refused_as_in_kubernetes(expression: str) -> None:
    """Names that the language knows elsewhere, and null for a time, are refused as they are in Kubernetes."""
    with pytest.raises(CelCompileError):
        compile_selector(expression)


def test_constant_elements_cost_less() -> None:
    """A list of one constant is made beforehand, and not paid for each element of `map`."""
    assert compile_selector("[1, 2, 3].map(x, 0).size() == 3").cost(_DEVICE) == 9
    assert compile_selector("[1, 2, 3].map(x, x).size() == 3").cost(_DEVICE) == 42


def test_zones_are_not_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Zones are the same where the machine has none."""
    monkeypatch.setattr("zoneinfo.TZPATH", ())
    assert compile_selector("timestamp(0).getHours('Asia/Kathmandu') == 5").matches(_DEVICE)
    with pytest.raises(CelRuntimeError, match="unknown time zone"):
        compile_selector("timestamp(0).getHours('../UTC') == 0").matches(_DEVICE)


def test_threads() -> None:
    """Deep and flat expressions compile and run in many threads at once."""
    ready = Barrier(4)
    deep, flat = "1" + " + 1" * 240 + " == 241", "1 == 1"

    def work(expression: str) -> bool:
        ready.wait()
        return all(compile_selector(expression).matches(_DEVICE) for _ in range(20))

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(work, [deep, flat, deep, flat]))
    finally:
        sys.setswitchinterval(before)


def test_flat_expressions_leave_the_limit() -> None:
    """Python's limit is raised only by an expression that needs it, and then stays."""
    before = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(1000)
        assert compile_selector("1 == 1").matches(_DEVICE)
        assert sys.getrecursionlimit() == 1000
        assert compile_selector("(1 + " * 120 + "1" + ")" * 120 + " == 121").matches(_DEVICE)
        assert sys.getrecursionlimit() > 1000
    finally:
        sys.setrecursionlimit(before)

"""Expressions compiled once, and run on many devices."""

from collections.abc import Callable

from amdgpu_dra.core.cel.checker import Checked, check
from amdgpu_dra.core.cel.device import BoundDevice
from amdgpu_dra.core.cel.environment import MOST_COST, CelOptions, Environment, environment
from amdgpu_dra.core.cel.errors import CelCompileError, CelRuntimeError, Issue
from amdgpu_dra.core.cel.estimate import estimate
from amdgpu_dra.core.cel.frames import Frame
from amdgpu_dra.core.cel.kinds import ANY, BOOL, DYN, INT, STRING, CelType, read_type
from amdgpu_dra.core.cel.parser import parse
from amdgpu_dra.core.cel.planner import Plan, plan
from amdgpu_dra.core.cel.reads import AttributeRead, attribute_reads
from amdgpu_dra.core.cel.runtime_cost import Cancelled, Meter
from amdgpu_dra.core.cel.semver import Semver
from amdgpu_dra.core.cel.stack import deep
from amdgpu_dra.core.cel.validate import validate
from amdgpu_dra.core.cel.values import MAX_UINT, Value, type_name

__all__ = ["DerivedValue", "Program", "compile_derived", "compile_selector"]

type DerivedValue = dict[str, object]

_LONGEST = 10 * 1024
_SCALARS = (BOOL, INT, STRING, ANY, DYN, read_type("Semver"))


class Program:
    """A compiled expression.

    `max_cost` is the estimate of its cost in the worst case. `too_long` and `too_expensive` say that the API server
    refuses it in a new object, although it compiles and runs.
    """

    def __init__(self, source: str, checked: Checked, env: Environment, options: CelOptions) -> None:
        self.source = source
        self.output_type = str(checked.types[checked.root.id])
        self.max_cost = estimate(checked)
        self.too_long = len(source.encode()) > _LONGEST
        self.too_expensive = self.max_cost > MOST_COST
        self.attribute_reads: tuple[AttributeRead, ...] = attribute_reads(checked)
        self._limit = options.cost_limit
        self._checked = checked
        self._env = env
        self._counting: Plan | None = None
        self._plan = plan(checked, env, counting=False)
        self._run, self._slots = self._plan.run, self._plan.slots
        # A few functions cost somewhat more than estimated; none by such a factor.
        self._must_count = self.max_cost * _MARGIN > self._limit

    def matches(self, device: BoundDevice) -> bool:
        """Whether the expression selects the device.

        Raises:
            CelRuntimeError: it fails on this device, or what it gives is no bool.
        """
        value = self._evaluate(device)
        if value is True or value is False:
            return value is True
        raise CelRuntimeError(f"CEL result of type {type_name(value)} could not be converted to bool")

    def value(self, device: BoundDevice) -> DerivedValue:
        """The derived attribute, in the form of a slice's: `{"string": …}`, `{"ints": […]}`; `{}` for an empty list.

        Raises:
            CelRuntimeError: it fails on this device, or what it gives cannot be an attribute.
        """
        return _derived(self._evaluate(device))

    def cost(self, device: BoundDevice) -> int:
        """What running it on the device costs, up to where it ends, with an error or not.

        Raises:
            CelRuntimeError: the device cannot be read.
        """
        meter = Meter(MAX_UINT)
        try:
            self._counted(device, meter)
        except CelRuntimeError:
            if device.fault is not None:
                raise
        return meter.cost

    def _evaluate(self, device: BoundDevice) -> Value:
        if self._must_count or device.fault is not None:
            return self._counted(device, Meter(self._limit))
        slots = self._slots
        try:
            return self._run([*device.frame, *[None] * slots] if slots else device.frame)
        except RecursionError:
            return deep(lambda: self._run([*device.frame, *[None] * slots]))

    def _counted(self, device: BoundDevice, meter: Meter) -> Value:
        if device.fault is not None:
            raise CelRuntimeError(device.fault)
        if self._counting is None:
            self._counting = deep(lambda: plan(self._checked, self._env, counting=True))
        counting, before = self._counting, meter.cost

        def run() -> Value:
            meter.cost = before
            frame: Frame = [*device.frame[:3], meter, *[None] * counting.slots]
            return counting.run(frame)

        try:
            return deep(run)
        except Cancelled:
            raise CelRuntimeError("operation cancelled: actual cost limit exceeded") from None


_MARGIN = 100


def compile_selector(expression: str, options: CelOptions = CelOptions()) -> Program:  # noqa: B008 (frozen)
    """Compiles a device selector.

    Raises:
        CelCompileError: Kubernetes would refuse it before it looks at any device.
    """
    return _compile(expression, options, _check_selector)


def compile_derived(expression: str, options: CelOptions = CelOptions()) -> Program:  # noqa: B008 (frozen)
    """Compiles the expression of a derived attribute.

    Raises:
        CelCompileError: Kubernetes would refuse it before it looks at any device.
    """
    return _compile(expression, options, _check_derived)


def _compile(
    expression: str, options: CelOptions, check_output: Callable[[CelType, Environment, CelOptions], None]
) -> Program:
    return deep(lambda: _compiled(expression, options, check_output))


def _compiled(
    expression: str, options: CelOptions, check_output: Callable[[CelType, Environment, CelOptions], None]
) -> Program:
    env = environment(options)
    checked = check(parse(expression), env)
    issues = checked.issues or validate(checked)
    if issues:
        raise CelCompileError("compilation failed: " + _rendered(issues, expression))
    check_output(checked.types[checked.root.id], env, options)
    try:
        return Program(expression, checked, env, options)
    except CelRuntimeError as fault:
        raise CelCompileError(f"program instantiation failed: {fault}") from None


def _rendered(issues: list[Issue], source: str) -> str:
    ordered = sorted(issues, key=lambda issue: issue.at)
    return "\n".join(issue.render(source) for issue in ordered)


def _check_selector(found: CelType, env: Environment, _options: CelOptions) -> None:
    if found not in {BOOL, env.attribute}:
        raise CelCompileError(f"must evaluate to bool or the unknown type, not {_shown(found)}")


def _check_derived(found: CelType, _env: Environment, options: CelOptions) -> None:
    lists = options.list_attributes or not options.new_expressions
    if found in _SCALARS or (lists and found.kind == "list" and found.params[0] in _SCALARS):
        return
    wanted = "a primitive scalar (string, integer, boolean, semver)" + (
        " or a list of these scalars," if lists else ","
    )
    raise CelCompileError(f"must evaluate to {wanted} not {_shown(found)}")


def _shown(kind: CelType) -> str:
    return "null_type" if kind.kind == "null" else str(kind)


_KINDS = {bool: "bool", int: "int", str: "string", Semver: "version"}


def _derived(value: Value) -> DerivedValue:
    if isinstance(value, tuple):
        return _derived_list(value)
    kind = _KINDS.get(type(value))
    if kind is None:
        raise CelRuntimeError(f"unsupported CEL return type: {type_name(value)}")
    return {kind: value.text if isinstance(value, Semver) else value}


def _derived_list(values: tuple[Value, ...]) -> DerivedValue:
    if not values:
        return {}
    kind = _KINDS.get(type(values[0]))
    if kind is None:
        raise CelRuntimeError(f"unsupported list element type: {type_name(values[0])}")
    for place, value in enumerate(values):
        if type(value) is not type(values[0]):
            raise CelRuntimeError(
                f"expected list element at index {place} to be {type_name(values[0])}, got {type_name(value)}"
            )
    return {kind + "s": [value.text if isinstance(value, Semver) else value for value in values]}

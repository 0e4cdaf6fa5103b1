"""Recorded answers of Kubernetes' own CEL, compared with ours."""

from collections.abc import Mapping
from dataclasses import dataclass

from amdgpu_dra.core.cel.device import bind_device
from amdgpu_dra.core.cel.environment import MOST_COST, CelOptions
from amdgpu_dra.core.cel.errors import CelCompileError, CelRuntimeError
from amdgpu_dra.core.cel.program import Program, compile_derived, compile_selector

__all__ = ["CelOutcome", "judge_cel"]

_UNBOUNDED = 2**63


@dataclass(frozen=True, slots=True, kw_only=True)
class CelOutcome:
    """One case: what was expected and found, as `compile error`, `runtime error` or the result, and what agrees.

    Costs are compared where the case has them and the expression compiles.
    """

    id: str
    category: str
    expression: str
    expected: str
    found: str
    message: str
    verdict: bool
    too_long: bool
    too_expensive: bool
    max_cost: bool
    cost: bool


def judge_cel(case: Mapping[str, object]) -> CelOutcome:
    """Runs one case of a conformance file."""
    expected, options = _mapping(case, "expected"), _mapping(case, "options")
    device = _mapping(case, "device")
    expression = str(case.get("expression"))
    derived = options.get("derived") is True
    wanted = _wanted(expected)
    program: Program | None = None
    message = ""
    bound = bind_device(str(device.get("driver")), device)
    try:
        program = (compile_derived if derived else compile_selector)(expression, read_options(options))
        found = _shown(program.value(bound) if derived else program.matches(bound))
    except CelCompileError as fault:
        found, message = "compile error", str(fault)
    except CelRuntimeError as fault:
        found, message = "runtime error", str(fault)
    costs = _costs(case, expected, program)
    if program is not None and costs["cost"]:
        try:
            costs["cost"] = program.cost(bound) == expected["cost"]
        except CelRuntimeError:
            costs["cost"] = False
    else:
        costs["cost"] = True
    return CelOutcome(
        id=str(case.get("id")),
        category=str(case.get("category", "")),
        expression=expression,
        expected=wanted,
        found=found,
        message=message,
        verdict=wanted == found,
        **costs,
    )


def _costs(case: Mapping[str, object], expected: Mapping[str, object], program: Program | None) -> dict[str, bool]:
    """What agrees of length and estimate; under `cost` whether there is a cost to compare."""
    if program is None:
        return {"too_long": True, "too_expensive": True, "max_cost": True, "cost": False}
    most = expected.get("max_cost")
    cancelled = str(expected.get("runtime_message")).startswith("operation cancelled")
    varies = case.get("cost_varies") or expected.get("cost_varies") or cancelled
    return {
        "too_long": program.too_long == (expected.get("too_long") is True),
        "too_expensive": program.too_expensive == (expected.get("too_expensive") is True),
        "max_cost": program.max_cost >= _UNBOUNDED if most is None else program.max_cost == most,
        "cost": expected.get("cost") is not None and not varies,
    }


def read_options(options: Mapping[str, object]) -> CelOptions:
    """The options of a case; absent ones are the defaults."""
    limit = options.get("costLimit", MOST_COST)
    return CelOptions(
        consumable_capacity=options.get("consumableCapacity", True) is True,
        list_attributes=options.get("listTypeAttributes") is True,
        new_expressions=options.get("newExpressions") is True,
        cost_limit=limit if isinstance(limit, int) else MOST_COST,
    )


def _wanted(expected: Mapping[str, object]) -> str:
    for phase in ("compile", "runtime"):
        if expected.get(f"{phase}_error"):
            return f"{phase} error"
    return _shown(expected.get("result"))


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _mapping(case: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = case.get(name)
    return found if isinstance(found, Mapping) else {}

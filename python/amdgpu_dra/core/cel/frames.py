"""What a planned expression runs on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from amdgpu_dra.core.cel.errors import CelRuntimeError
from amdgpu_dra.core.cel.runtime_cost import Meter
from amdgpu_dra.core.cel.values import Value

__all__ = [
    "ATTRIBUTES",
    "CAPACITY",
    "DEVICE",
    "FIRST_LOCAL",
    "METER",
    "UNSET",
    "Frame",
    "Run",
    "Step",
    "charge",
    "constant",
    "reader",
]

# A list: the device as a map, its attributes, its capacity, the meter or None, then one place for each variable.
type Frame = list[Value]
type Run = Callable[[Frame], Value]

DEVICE, ATTRIBUTES, CAPACITY, METER, FIRST_LOCAL = range(5)


class _Unset:
    __slots__ = ()


UNSET: Final = _Unset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One planned node.

    `constant` is what Go folds before it runs anything; `fixed` what is known to give `value` always. An `attribute` is
    a variable with selections; `bare` runs it without its own charge, as a branch of `?:` and as an index.
    """

    run: Run
    constant: bool = False
    fixed: bool = False
    value: Value = None
    attribute: bool = False
    bare: Run | None = None
    own: int = 1

    @property
    def inner(self) -> Run:
        """The run that charges nothing for the node itself."""
        return self.bare or self.run


def charge(frame: Frame, cost: int) -> None:
    """Counts cost on the frame's meter."""
    meter = frame[METER]
    assert isinstance(meter, Meter)  # noqa: S101 (frames of counting programs have one)
    meter.add(cost)


def constant(value: Value) -> Step:
    """A constant."""
    return Step(run=lambda _: value, constant=True, fixed=True, value=value)


def reader(slot: int, first: Run | None = None) -> Run:
    """Reads a variable; an accumulator's first value is computed when it is first read, and may be an error."""
    if first is None:
        return lambda frame: frame[slot]

    def read(frame: Frame) -> Value:
        value = frame[slot]
        if value is UNSET:
            try:
                value = first(frame)
            except CelRuntimeError as fault:
                value = fault
            frame[slot] = value
        if isinstance(value, CelRuntimeError):
            raise value
        return value

    return read

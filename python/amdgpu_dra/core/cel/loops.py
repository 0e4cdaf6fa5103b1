"""Running comprehensions."""

from collections.abc import Iterator
from dataclasses import dataclass

from amdgpu_dra.core.cel.errors import CelRuntimeError, no_such_overload
from amdgpu_dra.core.cel.frames import UNSET, Frame, Run, Step, charge
from amdgpu_dra.core.cel.values import Value, key_value, type_name

__all__ = ["Loop", "bind", "collect", "fold", "quantify"]

# Per element: reading the accumulator and adding to it; a list of one element, where it is not known beforehand.
_APPEND_COST, _LIST_COST = 2, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """The places of a loop's variables and what it goes over."""

    span: Run
    name: int
    second: int | None
    accu: int


def _over(loop: Loop, frame: Frame) -> Iterator[None]:
    """Sets the variables for each element."""
    span = loop.span(frame)
    if isinstance(span, tuple):
        items: Iterator[tuple[Value, Value]] = enumerate(span)
    elif isinstance(span, dict):
        items = ((key_value(key), value) for key, value in span.items())
    else:
        raise CelRuntimeError(f"got '{type_name(span)}', expected iterable type")
    name, second = loop.name, loop.second
    single = second is None and isinstance(span, tuple)
    for key, value in items:
        frame[name] = value if single else key
        if second is not None:
            frame[second] = value
        yield


def bind(accu: int, result: Run) -> Run:
    """A variable's scope."""

    def run(frame: Frame) -> Value:
        frame[accu] = UNSET
        return result(frame)

    return run


def fold(loop: Loop, condition: Run, step: Run, result: Run) -> Run:
    """Any comprehension, as the language defines it: an error in a step becomes the accumulator's value."""
    accu = loop.accu

    def run(frame: Frame) -> Value:
        frame[accu] = UNSET
        for _ in _over(loop, frame):
            try:
                if condition(frame) is False:
                    break
            except CelRuntimeError:
                pass
            try:
                frame[accu] = step(frame)
            except CelRuntimeError as fault:
                frame[accu] = fault
        return result(frame)

    return run


def quantify(kind: str, loop: Loop, predicate: Run) -> Run:
    """`all`, `exists` and `exists_one` without counting."""
    if kind == "exists_one":
        return _exists_one(loop, predicate)
    stop = kind == "exists"

    def run(frame: Frame) -> Value:
        fault: CelRuntimeError | None = None
        for _ in _over(loop, frame):
            try:
                value = predicate(frame)
            except CelRuntimeError as error:
                fault = fault or error
                continue
            if value is stop:
                return stop
            if value is not (not stop):
                fault = fault or no_such_overload()
        if fault is not None:
            raise fault
        return not stop

    return run


def _exists_one(loop: Loop, predicate: Run) -> Run:
    def run(frame: Frame) -> Value:
        count = 0
        for _ in _over(loop, frame):
            value = predicate(frame)
            if value is True:
                count += 1
            elif value is not False:
                raise no_such_overload()
        return count == 1

    return run


def collect(loop: Loop, condition: Run | None, element: Step, *, counting: bool) -> Run:
    """`map` and `filter`, which would otherwise copy the list for every element."""
    compute, cost = element.run, _APPEND_COST + (0 if element.constant else _LIST_COST)

    def run(frame: Frame) -> Value:
        out: list[Value] = []
        for _ in _over(loop, frame):
            if condition is not None:
                value = condition(frame)
                if value is False:
                    continue
                if value is not True:
                    raise no_such_overload()
            out.append(compute(frame))
            if counting:
                charge(frame, cost)
        if counting:
            charge(frame, 1)
        return tuple(out)

    return run

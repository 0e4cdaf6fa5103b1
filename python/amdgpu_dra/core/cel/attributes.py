"""Reading through variables: `device.attributes["gpu.amd.com"].model`, with `?` and `has`."""

from dataclasses import dataclass

from amdgpu_dra.core.cel.frames import Frame, Run, Step, charge
from amdgpu_dra.core.cel.index import element, has_element, missing_key
from amdgpu_dra.core.cel.values import NONE, Optional, Value

__all__ = ["Qualifier", "read_attribute", "test_attribute"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Qualifier:
    """One selection; `optional` for one with a question mark."""

    key: Step
    optional: bool


def read_attribute(operand: Step, key: Qualifier, *, wide: bool, counting: bool) -> Run:
    """Reads one element more; `wide` where what is read from may be an optional."""
    if key.optional or wide:
        return _read_optional(operand.inner if operand.attribute else operand.run, key, counting=counting)
    if counting:
        return _read_counted(operand.inner if operand.attribute else operand.run, key.key)
    return _read_plain(operand.inner if operand.attribute else operand.run, key.key)


def _read_plain(operand: Run, key: Step) -> Run:
    if not key.fixed:
        find = key.inner
        return lambda frame: element(operand(frame), find(frame))
    name = key.value
    if not isinstance(name, str):
        return lambda frame: element(operand(frame), name)

    def read(frame: Frame) -> Value:
        target = operand(frame)
        try:
            return target[name]  # type: ignore[index] # a map; anything else is judged below
        except KeyError:
            raise missing_key(name) from None
        except TypeError:
            return element(target, name)

    return read


def _read_counted(operand: Run, key: Step) -> Run:
    find = key.inner

    def read(frame: Frame) -> Value:
        target, name = operand(frame), find(frame)
        try:
            return element(target, name)
        finally:
            charge(frame, 1)

    return read


def _read_optional(operand: Run, key: Qualifier, *, counting: bool) -> Run:
    find, optional = key.key.inner, key.optional

    def read(frame: Frame) -> Value:
        target = operand(frame)
        wrapped = optional
        if isinstance(target, Optional):
            if not target.present:
                return NONE
            target, wrapped = target.value, True
        name = find(frame)
        if wrapped and not has_element(target, name):
            return NONE
        try:
            value = element(target, name)
        finally:
            if counting:
                charge(frame, 1)
        return Optional(value) if wrapped else value

    return read


def test_attribute(operand: Step, key: Qualifier, *, wide: bool, counting: bool) -> Run:
    """Whether an element is there."""
    inner, name = operand.inner if operand.attribute else operand.run, key.key.value

    def test(frame: Frame) -> Value:
        target = inner(frame)
        if wide and isinstance(target, Optional):
            if not target.present:
                return False
            target = target.value
        try:
            return has_element(target, name)
        finally:
            if counting:
                charge(frame, 1)

    return test

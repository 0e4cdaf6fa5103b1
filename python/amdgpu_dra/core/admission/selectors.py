"""What is likely wrong with a selector although Kubernetes takes it.

Names that no device of ours has, and reads that fail on a device that lacks them: a selector that fails ends the whole
attempt to place its pod (dynamicresources.go).
"""

import difflib
from collections.abc import Iterable
from functools import lru_cache

from amdgpu_dra.core.admission.places import Selector
from amdgpu_dra.core.cel import (
    AttributeRead,
    BoundDevice,
    CelCompileError,
    CelRuntimeError,
    Program,
    bind_device,
    compile_selector,
)
from amdgpu_dra.core.devices import ATTRIBUTES, CAPACITIES
from amdgpu_dra.core.slices import DRIVER

_WHOLE_CLASS = f"whole.{DRIVER}"
# The API server refuses longer ones (DeviceSelector).
_LONGEST = 10 * 1024
_KEPT = 512


def _domains(names: Iterable[str]) -> frozenset[tuple[str, str]]:
    """Names as they are published -> domain and id."""
    pairs = ((name.rpartition("/")[0] or DRIVER, name.rpartition("/")[2]) for name in names)
    return frozenset(pairs)


_KNOWN = {False: _domains(row.name for row in ATTRIBUTES), True: _domains(row.name for row in CAPACITIES)}
_ALWAYS = _domains(row.name for row in ATTRIBUTES if row.always)


def _least(kind: str) -> BoundDevice:
    """A device of ours that has no more than every device has."""
    always = {row.name: {row.kind: row.example} for row in ATTRIBUTES if row.always and row.name != "type"}
    return bind_device(DRIVER, {"name": "least", "attributes": {**always, "type": {"string": kind}}})


_LEAST_WHOLE, _LEAST_PARTITION = _least("amdgpu"), _least("amdgpu-partition")
_FOREIGN = bind_device("driver.example.org", {"name": "foreign"})


def is_ours(class_name: str) -> bool:
    """Whether a class is one of the chart's by its name."""
    return class_name == DRIVER or class_name.endswith(f".{DRIVER}")


def check_request(class_name: str, selectors: tuple[Selector, ...]) -> list[str]:
    """Warnings about the selectors of a request, each with its path; none about classes that are not ours."""
    if not is_ours(class_name):
        return []
    least = (_LEAST_WHOLE,) if class_name == _WHOLE_CLASS else (_LEAST_WHOLE, _LEAST_PARTITION)
    return [*_unknown(selectors), *_unguarded(selectors, least)]


def check_class(selectors: tuple[Selector, ...]) -> list[str]:
    """Warnings about the selectors of a DeviceClass that reads what our driver publishes; they meet every device."""
    programs = [program for selector in selectors if (program := _compiled(selector.expression)) is not None]
    reads = [read for program in programs for read in program.attribute_reads]
    if not any(read.domain == DRIVER for read in reads):
        return []
    warnings = _unknown(selectors, ours_alone=True)
    failing = _first_failing(selectors, (_FOREIGN,))
    if failing is not None:
        warnings.append(f"{failing.path}: fails on devices of other drivers; begin with device.driver == '{DRIVER}' &&")
        return warnings
    return [*warnings, *_unguarded(selectors, (_LEAST_WHOLE, _LEAST_PARTITION))]


def _unknown(selectors: tuple[Selector, ...], *, ours_alone: bool = False) -> list[str]:
    """Names that no device of ours ever has."""
    found = []
    for selector in selectors:
        for read in _reads(selector):
            strange = (read.domain, read.id) not in _KNOWN[read.capacity]
            if strange and (read.domain == DRIVER or not ours_alone):
                found.append(f"{selector.path}: {_never(read)}")
    return found


def _never(read: AttributeRead) -> str:
    what = "capacity" if read.capacity else "attribute"
    name = read.id if read.domain == DRIVER else f"{read.domain}/{read.id}"
    if (read.domain, read.id) in _KNOWN[not read.capacity]:
        return f"{name} is an attribute, not a capacity" if read.capacity else f"{name} is a capacity, not an attribute"
    ids = sorted(id_ for domain, id_ in _KNOWN[read.capacity] if domain == read.domain)
    near = difflib.get_close_matches(read.id, ids, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"no device of {DRIVER} has the {what} {name}{hint}"


def _unguarded(selectors: tuple[Selector, ...], least: tuple[BoundDevice, ...]) -> list[str]:
    """Names that some devices lack, read in a way that then fails."""
    failing = _first_failing(selectors, least)
    if failing is None:
        return []
    found = []
    for read in _reads(failing):
        known = (read.domain, read.id) in _KNOWN[read.capacity]
        if known and not read.guarded and (read.capacity or (read.domain, read.id) not in _ALWAYS):
            section = "capacity" if read.capacity else "attributes"
            found.append(
                f"{failing.path}: fails on devices without {read.id}; "
                f"ask first: '{read.id}' in device.{section}['{read.domain}'] &&"
            )
    return found


def _first_failing(selectors: tuple[Selector, ...], devices: tuple[BoundDevice, ...]) -> Selector | None:
    """The first selector that fails on one of the devices; as the allocator does, a device that is out stays out."""
    for device in devices:
        for selector in selectors:
            program = _compiled(selector.expression)
            if program is None:
                continue
            try:
                if not program.matches(device):
                    break
            except CelRuntimeError:
                return selector
    return None


def _reads(selector: Selector) -> tuple[AttributeRead, ...]:
    program = _compiled(selector.expression)
    return () if program is None else program.attribute_reads


@lru_cache(maxsize=_KEPT)
def _compiled(expression: str) -> Program | None:
    """None for what the API server refuses by itself."""
    if len(expression.encode(errors="replace")) > _LONGEST:
        return None
    try:
        return compile_selector(expression)
    except CelCompileError:
        return None

"""A device of a slice, made ready for expressions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from amdgpu_dra.core.cel.environment import CelOptions
from amdgpu_dra.core.cel.errors import CelRuntimeError
from amdgpu_dra.core.cel.frames import Frame
from amdgpu_dra.core.cel.quantity import read_quantity
from amdgpu_dra.core.cel.semver import read_semver
from amdgpu_dra.core.cel.values import DomainMap, Value

__all__ = ["BoundDevice", "bind_device"]

# In the order in which Kubernetes asks: lists before single values.
_LISTS = (("ints", int), ("bools", bool), ("strings", str), ("versions", str))
_SINGLE = (("int", int), ("bool", bool), ("string", str), ("version", str))


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundDevice:
    """What expressions read; `fault` is why none can be run on it."""

    frame: Frame
    fault: str | None


def bind_device(
    driver: str,
    device: Mapping[str, object],
    options: CelOptions = CelOptions(),  # noqa: ARG001, B008 (stored expressions see every attribute; frozen)
) -> BoundDevice:
    """Makes a device of a ResourceSlice (v1 JSON) ready; names without a domain belong to the driver's.

    Never raises: a device with a value that cannot be read fails every expression, as it does in Kubernetes.
    """
    try:
        attributes = _by_domain(driver, _section(device, "attributes"), _attribute)
        capacity = _by_domain(driver, _section(device, "capacity"), _capacity)
    except CelRuntimeError as fault:
        return BoundDevice(frame=[], fault=str(fault))
    whole: dict[Value, Value] = {
        "driver": driver,
        "allowMultipleAllocations": device.get("allowMultipleAllocations") is True,
        "attributes": attributes,
        "capacity": capacity,
    }
    return BoundDevice(frame=[whole, attributes, capacity, None], fault=None)


def _section(device: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = device.get(name)
    return found if isinstance(found, Mapping) else {}


def _by_domain(driver: str, section: Mapping[str, object], read: Callable[[str, object], Value]) -> DomainMap:
    out = DomainMap()
    for name, content in section.items():
        domain, slash, id_ = name.partition("/")
        if not slash:
            domain, id_ = driver, name
        inner = out.setdefault(domain, {})
        assert isinstance(inner, dict)  # noqa: S101 (only maps are put in)
        inner[id_] = read(name, content)
    return out


def _attribute(name: str, content: object) -> Value:
    fields = content if isinstance(content, Mapping) else {}
    for key, kind in _LISTS:
        found = fields.get(key)
        if isinstance(found, (list, tuple)) and all(isinstance(item, kind) for item in found):
            return tuple(_version(name, item) if key == "versions" else item for item in found)
    for key, kind in _SINGLE:
        found = fields.get(key)
        if isinstance(found, kind):
            return _version(name, found) if key == "version" else found
    raise CelRuntimeError(f"attribute {name}: unsupported attribute value")


def _version(name: str, text: object) -> Value:
    try:
        return read_semver(str(text))
    except CelRuntimeError as fault:
        raise CelRuntimeError(f"attribute {name}: parse semantic version: {fault}") from None


def _capacity(name: str, content: object) -> Value:
    value = content.get("value") if isinstance(content, Mapping) else None
    try:
        return read_quantity("0" if value is None else str(value))
    except CelRuntimeError as fault:
        raise CelRuntimeError(f"capacity {name}: {fault}") from None

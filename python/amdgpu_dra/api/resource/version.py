"""The versions of resource.k8s.io: which there are, and objects of each as those of v1 and back.

v1beta2 differs from v1 in its name alone. v1beta1 has a device's fields under `basic`, and those of a request beside
its name instead of under `exactly`. What a version has depends on the server's release as well: fields that are newer
than the server are dropped by it, whatever the version, which `agent/publish` finds out from what comes back.
"""

from collections.abc import Callable, Mapping
from typing import Any

GROUP = "resource.k8s.io"
# The best first. Kubernetes serves v1 from 1.34, v1beta2 from 1.33 to 1.38, v1beta1 from 1.32 to 1.37.
VERSIONS = ("v1", "v1beta2", "v1beta1")
_FLAT = "v1beta1"

type _Change = Callable[[Mapping[str, Any]], dict[str, Any]]


def to_v1(raw: Mapping[str, Any], version: str) -> dict[str, Any]:
    """A slice, a claim or a claim template of a version, as v1 has it; what is malformed stays as it is."""
    return _translate(raw, "v1", device=_unwrap, request=_nest) if version == _FLAT else _rename(raw, "v1")


def from_v1(raw: Mapping[str, Any], version: str) -> dict[str, Any]:
    """A slice, a claim or a claim template of v1, as a version has it; the inverse of `to_v1`."""
    return _translate(raw, version, device=_wrap, request=_flatten) if version == _FLAT else _rename(raw, version)


def _rename(raw: Mapping[str, Any], version: str) -> dict[str, Any]:
    # Objects of a list do not state their version.
    stated = str(raw.get("apiVersion", "")).startswith(f"{GROUP}/")
    return {**raw, "apiVersion": f"{GROUP}/{version}"} if stated else dict(raw)


def _translate(raw: Mapping[str, Any], version: str, *, device: _Change, request: _Change) -> dict[str, Any]:
    found = _rename(raw, version)
    if isinstance(spec := found.get("spec"), Mapping):
        found["spec"] = _translate_spec(spec, device, request)
    return found


def _translate_spec(spec: Mapping[str, Any], device: _Change, request: _Change) -> dict[str, Any]:
    """A slice has a list of devices, a claim requests for devices, and a template the spec of a claim."""
    found, devices = dict(spec), spec.get("devices")
    if isinstance(devices, list):
        found["devices"] = _each(devices, device)
    elif isinstance(devices, Mapping) and isinstance(requests := devices.get("requests"), list):
        found["devices"] = {**devices, "requests": _each(requests, request)}
    elif isinstance(inner := spec.get("spec"), Mapping):
        found["spec"] = _translate_spec(inner, device, request)
    return found


def _each(items: list[Any], change: _Change) -> list[Any]:
    return [change(item) if isinstance(item, Mapping) else item for item in items]


def _wrap(device: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": device.get("name"), "basic": {name: value for name, value in device.items() if name != "name"}}


def _unwrap(device: Mapping[str, Any]) -> dict[str, Any]:
    basic = device.get("basic")
    if not isinstance(basic, Mapping):
        return dict(device)
    return {**{name: value for name, value in device.items() if name != "basic"}, **basic}


def _flatten(request: Mapping[str, Any]) -> dict[str, Any]:
    exactly = request.get("exactly")
    if not isinstance(exactly, Mapping):
        return dict(request)
    return {**{name: value for name, value in request.items() if name != "exactly"}, **exactly}


def _nest(request: Mapping[str, Any]) -> dict[str, Any]:
    if "firstAvailable" in request:
        return dict(request)
    return {"name": request.get("name"), "exactly": {name: value for name, value in request.items() if name != "name"}}

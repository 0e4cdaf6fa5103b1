"""The reviews that are sent: one maker each, given a number that makes a text different from the last."""

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType

from amdgpu_dra.api.config import API_VERSION

_GPU = "device.attributes['gpu.amd.com']"
_GOOD = {"apiVersion": API_VERSION, "kind": "GpuConfig"}


def _review(devices: Mapping[str, object], metadata: Mapping[str, object] | None = None) -> bytes:
    named = {"group": "resource.k8s.io", "version": "v1", "resource": "resourceclaims"}
    raw = {"metadata": metadata or {}, "spec": {"devices": devices}}
    request = {"uid": "u", "operation": "CREATE", "resource": named, "object": raw}
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).encode()


def _devices(parameters: object, *expressions: str) -> dict[str, object]:
    selectors = [{"cel": {"expression": text}} for text in expressions]
    return {
        "requests": [{"name": "r", "exactly": {"deviceClassName": "gpu.amd.com", "selectors": selectors}}],
        "config": [{"opaque": {"driver": "gpu.amd.com", "parameters": parameters}}],
    }


def _selector(place: int) -> str:
    return f"'xccCount' in {_GPU} && {_GPU}.xccCount >= {place % 8} && {_GPU}.type == 'amdgpu' && {place} >= 0"


REVIEWS: Mapping[str, Callable[[int], bytes]] = MappingProxyType(
    {
        "a configuration that is right": lambda _: _review(_devices(_GOOD)),
        "one that is wrong": lambda _: _review(_devices({**_GOOD, "sharing": {}})),
        "a selector that was seen before": lambda _: _review(_devices(_GOOD, _selector(1))),
        "a selector that is new each time": lambda place: _review(_devices(_GOOD, _selector(place))),
        "an object of 256 KiB": lambda _: _review(
            _devices(_GOOD, _selector(1)), {"annotations": {f"k{i}": "v" * 1000 for i in range(256)}}
        ),
    }
)

"""Objects of resource.k8s.io as frozen values ⇄ JSON, as far as a kubelet plugin has to do with them.

One inner form for every served version; `v1` is what is spoken now. Refuses to know how objects are fetched.
"""

from amdgpu_dra.api.resource.claim import Claim, DeviceResult, ObjectRef, OpaqueConfig, decode_claim
from amdgpu_dra.api.resource.slice import (
    AttributeValue,
    CounterConsumption,
    CounterSet,
    Device,
    ResourceSlice,
    SliceEvent,
    Taint,
    Version,
    decode_slice,
    encode_slice,
)

__all__ = [
    "AttributeValue",
    "Claim",
    "CounterConsumption",
    "CounterSet",
    "Device",
    "DeviceResult",
    "ObjectRef",
    "OpaqueConfig",
    "ResourceSlice",
    "SliceEvent",
    "Taint",
    "Version",
    "decode_claim",
    "decode_slice",
    "encode_slice",
]

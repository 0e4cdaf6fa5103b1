"""Objects of resource.k8s.io as frozen values ⇄ JSON, as far as a kubelet plugin has to do with them.

One inner form for every served version: values and v1, v1 and the others. Refuses to know how objects are fetched.
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
from amdgpu_dra.api.resource.version import GROUP, VERSIONS, from_v1, to_v1

__all__ = [
    "GROUP",
    "VERSIONS",
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
    "from_v1",
    "to_v1",
]

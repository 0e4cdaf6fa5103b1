"""Which devices Kubernetes sees of an inventory, under which names, in which order, and with which attributes.

Knows names, attributes and limits of a single device. Refuses to know slices, pools and claims.
"""

from amdgpu_dra.core.devices.attributes import ATTRIBUTES, CAPACITIES, describe
from amdgpu_dra.core.devices.candidates import BLOCKED_TAINT
from amdgpu_dra.core.devices.device import STATIC, Layout, Listing, NodeDevice, Withheld
from amdgpu_dra.core.devices.listing import list_devices
from amdgpu_dra.core.devices.names import AMD_NAMES, PCI_NAMES, device_name

__all__ = [
    "AMD_NAMES",
    "ATTRIBUTES",
    "BLOCKED_TAINT",
    "CAPACITIES",
    "PCI_NAMES",
    "STATIC",
    "Layout",
    "Listing",
    "NodeDevice",
    "Withheld",
    "describe",
    "device_name",
    "list_devices",
]

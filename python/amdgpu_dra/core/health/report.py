"""What is said of devices."""

from dataclasses import dataclass
from enum import StrEnum

from amdgpu_dra.core.gpu import PciAddress


class Health(StrEnum):
    """As Kubernetes tells it apart. What cannot be told is unknown, never healthy."""

    HEALTHY = "Healthy"
    UNHEALTHY = "Unhealthy"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceHealth:
    """The health of one device.

    Attributes:
        name: under which the device is, or was, published.
        gpu: whose partition it is.
        existed: whether it was there in any look: a partition of a mode that its GPU was never in cannot have gone.
        message: where and what, if it is not healthy; at most `LONGEST` characters.
    """

    name: str
    gpu: PciAddress
    existed: bool
    health: Health
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All devices by name, and what a kubelet needs to know about the look behind it.

    Attributes:
        age: seconds since the last look that gave an answer; None before the first.
        lease: seconds for which the report is good, for who hears nothing more.
    """

    devices: tuple[DeviceHealth, ...]
    age: float | None
    lease: int

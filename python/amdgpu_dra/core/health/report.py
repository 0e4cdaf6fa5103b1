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
        name: the device's own, which means one piece of hardware for ever.
        alias: the name under which it is, or was, published, if that is another.
        gpu: whose partition it is.
        existed: whether it was there in any look: a partition of a mode that its GPU was never in cannot have gone.
        message: where and what, if it is not healthy; at most `LONGEST` characters.
    """

    name: str
    gpu: PciAddress
    existed: bool
    health: Health
    message: str = ""
    alias: str = ""

    @property
    def published(self) -> str:
        """The name that Kubernetes knows it by."""
        return self.alias or self.name


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

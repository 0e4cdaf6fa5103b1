"""Names of devices: stable over reboots, and one shape of hardware for ever."""

from amdgpu_dra.core.gpu import PciAddress

# The modes whose one partition is the whole GPU; None on a GPU without modes.
WHOLE = (None, "SPX")


def device_name(address: PciAddress, mode: str | None, index: int) -> str:
    """`gpu-0000-05-00-0` for a whole GPU, `gpu-0000-05-00-0-cpx-3` for a partition of a compute mode."""
    base = "gpu-" + str(address).replace(":", "-").replace(".", "-")
    return base if mode is None or mode in WHOLE else f"{base}-{mode.lower()}-{index}"

"""Names of devices: stable over reboots, and one shape of hardware for ever."""

from amdgpu_dra.core.gpu import Partition, PciAddress

# Under which names devices are published: their own, or those that AMD's driver gives them.
PCI_NAMES, AMD_NAMES = "pci", "amd"

# The modes whose one partition is the whole GPU; None on a GPU without modes.
WHOLE = (None, "SPX")


def device_name(address: PciAddress, mode: str | None, index: int) -> str:
    """`gpu-0000-05-00-0` for a whole GPU, `gpu-0000-05-00-0-cpx-3` for a partition of a compute mode."""
    base = "gpu-" + str(address).replace(":", "-").replace(".", "-")
    return base if mode is None or mode in WHOLE else f"{base}-{mode.lower()}-{index}"


def amd_name(partition: Partition) -> str:
    """`gpu-<card>-<renderD>` (`gpu-1-128`) by DRM nodes, which may be others' after a reboot; empty without both."""
    if partition.card is None or partition.render is None:
        return ""
    numbers = partition.card.path.removeprefix("dri/card"), partition.render.path.removeprefix("dri/renderD")
    return f"gpu-{'-'.join(numbers)}" if all(map(str.isdigit, numbers)) else ""

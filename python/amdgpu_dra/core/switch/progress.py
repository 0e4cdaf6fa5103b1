"""A switch, and what KFD shows of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from amdgpu_dra.core.gpu import Gpu, Inventory, PciAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """A GPU, the mode it shall have, and the indices of the partitions that must exist then.

    The indices are those of the devices that are published for this mode. They are not computed from the mode: where
    DRM has run out of minors, a partition never appears, and nobody was promised it.
    """

    address: PciAddress
    mode: str
    indices: frozenset[int]

    def __str__(self) -> str:
        return f"GPU {self.address} to {self.mode}"


def has_arrived(inventory: Inventory, switch: Switch) -> bool:
    """Whether the GPU is in the mode, and KFD shows every partition that is needed, each with its render node."""
    for gpu in inventory.gpus:
        if gpu.address == switch.address:
            shown = {part.index for part in gpu.partitions if part.render is not None}
            return gpu.compute_mode == switch.mode and switch.indices <= shown
    return False


def hold_still(inventory: Inventory, known: Mapping[PciAddress, Gpu]) -> Inventory:
    """The inventory with the GPUs that are being switched as they were known before.

    While a switch is under way KFD shows some of their partitions, or none. That is no reason to withhold a device.
    """
    return replace(inventory, gpus=tuple(_gpus(inventory.gpus, known)))


def _gpus(found: Iterable[Gpu], known: Mapping[PciAddress, Gpu]) -> list[Gpu]:
    by_address = {gpu.address: gpu for gpu in found} | dict(known)
    return [by_address[address] for address in sorted(by_address)]

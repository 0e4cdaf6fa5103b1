"""What a reading lacks that the one before it had, where files could not be read."""

from collections.abc import Iterable
from dataclasses import fields

from amdgpu_dra.core.gpu.inventory import DeviceNode, Gpu, Inventory, Partition, PciAddress


def find_lost(before: Inventory, after: Inventory) -> tuple[DeviceNode | None, dict[PciAddress, Gpu]]:
    """The node of KFD as it should be taken, and the GPUs, as they were, that `after` shows less of.

    Nothing is lost if every file could be read that is there: then what is missing has gone.
    """
    if not any(problem.errno for problem in after.problems):
        return after.kfd, {}
    now = {gpu.address: gpu for gpu in after.gpus}
    lost = {gpu.address: gpu for gpu in before.gpus if _is_less(gpu, now.get(gpu.address))}
    return after.kfd or before.kfd, lost


def _is_less(before: Gpu, after: Gpu | None) -> bool:
    if after is None or _lacks(before, after):
        return True
    # In another mode the partitions are others: then only none at all is less.
    if before.compute_mode != after.compute_mode:
        return False
    found = {part.index: part for part in after.partitions}
    return any(part.index not in found or _lacks(part, found[part.index]) for part in before.partitions)


def _lacks(before: Gpu | Partition, after: Gpu | Partition) -> bool:
    """Whether a value that was known is none now."""
    names: Iterable[str] = (field.name for field in fields(before))
    return any(getattr(before, name) not in (None, ()) and getattr(after, name) in (None, ()) for name in names)

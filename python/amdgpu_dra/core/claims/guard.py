"""The last line of defence: a device that one claim holds is not prepared for another."""

from collections.abc import Iterable

from amdgpu_dra.api.checkpoint import Record

_WHOLE = 5  # parts of `gpu-0000-05-00-0`


def find_conflict(record: Record, held: Iterable[Record]) -> tuple[str, Record] | None:
    """The first device of `record` that another record holds, and that record.

    A whole GPU and a partition of it, or partitions of different modes, exclude each other as well. Admin access and
    shares of one device (a share id) exclude nothing.
    """
    mine = [device.device for device in record.devices if not device.admin_access and device.share_id is None]
    for other in held:
        if other.uid == record.uid:
            continue
        theirs = [device.device for device in other.devices if not device.admin_access and device.share_id is None]
        for name in mine:
            if any(_exclude(name, taken) for taken in theirs):
                return name, other
    return None


def _exclude(one: str, other: str) -> bool:
    if one == other:
        return True
    (gpu, mode), (other_gpu, other_mode) = _split(one), _split(other)
    return gpu == other_gpu and mode != other_mode


def _split(name: str) -> tuple[str, str]:
    """GPU and mode of a device's name: `gpu-0000-05-00-0-cpx-3` -> its GPU and `cpx`."""
    parts = name.split("-")
    return "-".join(parts[:_WHOLE]), "-".join(parts[_WHOLE : _WHOLE + 1])

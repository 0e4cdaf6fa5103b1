"""The claims that a node holds, and the last line of defence: a device that one holds is not prepared for another."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from amdgpu_dra.api.checkpoint import Record

_WHOLE = 5  # parts of `gpu-0000-05-00-0`


class Holdings:
    """Records by claim, and by GPU, so that a check costs the same however many claims there are."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._records: dict[str, Record] = {}
        self._by_gpu: dict[str, set[str]] = defaultdict(set)
        for record in records:
            self.put(record)

    def __iter__(self) -> Iterator[Record]:
        return iter(list(self._records.values()))

    def __contains__(self, uid: object) -> bool:
        return uid in self._records

    def find(self, uid: str) -> Record | None:
        """The record of a claim."""
        return self._records.get(uid)

    def put(self, record: Record) -> None:
        """Keeps a record, in place of an older one of its claim."""
        old = self._records.get(record.uid)
        if old is not None and _exclusive(old) == _exclusive(record):
            # A change of state, in a thread beside a check: at no moment may the check miss what is held.
            self._records[record.uid] = record
            return
        self.drop(record.uid)
        self._records[record.uid] = record
        for name, _ in _exclusive(record):
            self._by_gpu[split_name(name)[0]].add(record.uid)

    def drop(self, uid: str) -> None:
        """Forgets a claim, if it is there."""
        record = self._records.pop(uid, None)
        for name, _ in _exclusive(record) if record else ():
            self._by_gpu[split_name(name)[0]].discard(uid)

    def is_free(self, gpu: str) -> bool:
        """Whether no claim has the GPU of this device name, or a partition of it. Admin access has nothing."""
        return not self._by_gpu.get(split_name(gpu)[0])

    def find_conflict(self, record: Record) -> tuple[str, Record] | None:
        """The first device of `record` that another claim holds, and that claim's record.

        A whole GPU and a partition of it, or partitions of different modes, exclude each other as well. Admin access
        excludes nothing, and shares of one device (a share id) do not exclude each other.
        """
        for name, shared in _exclusive(record):
            for uid in sorted(self._by_gpu.get(split_name(name)[0], ())):
                other = self._records.get(uid)
                if (
                    other is not None
                    and uid != record.uid
                    and any(
                        _exclude(name, taken) and not (name == taken and shared and also)
                        for taken, also in _exclusive(other)
                    )
                ):
                    return name, other
        return None


def _exclusive(record: Record) -> list[tuple[str, bool]]:
    """Names of the devices that a claim has to work with, and whether it has only a share of it."""
    return [(device.device, device.share_id is not None) for device in record.devices if not device.admin_access]


def _exclude(one: str, other: str) -> bool:
    if one == other:
        return True
    (gpu, mode), (other_gpu, other_mode) = split_name(one), split_name(other)
    return gpu == other_gpu and mode != other_mode


def split_name(name: str) -> tuple[str, str]:
    """GPU and mode of a device's name: `gpu-0000-05-00-0-cpx-3` -> its GPU and `CPX`; a whole GPU's mode is SPX."""
    parts = name.split("-")
    return "-".join(parts[:_WHOLE]), "-".join(parts[_WHOLE : _WHOLE + 1]).upper() or "SPX"

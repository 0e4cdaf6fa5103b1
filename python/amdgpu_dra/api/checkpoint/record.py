"""A claim's record as a value, and what a store gives of all of them."""

import re
from dataclasses import dataclass

_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,126}")


def is_uid(text: str) -> bool:
    """Whether it could be a claim's UID, which is part of the names of files."""
    return _UID.fullmatch(text) is not None


class State:
    """Where a claim stands; it is ABSENT while there is no record.

    Only PREPARING, READY and UNPREPARING are ever on disk. LOST and NEWER are how a process that starts sees a claim
    whose record is no more, or is in a form that it does not know.
    """

    ABSENT = "Absent"
    PREPARING = "Preparing"
    READY = "Ready"
    UNPREPARING = "Unpreparing"
    LOST = "Lost"
    NEWER = "Newer"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldDevice:
    """One device of a claim, and the unique id of its GPU if that is known.

    `device` is its own name, which means one piece of hardware for ever; `alias` is the name by which it was allocated,
    if that is another. `later` is a JSON object: fields that a newer driver has added, kept as they are.
    """

    request: str
    pool: str
    device: str
    admin_access: bool = False
    share_id: str | None = None
    unique_id: str | None = None
    alias: str = ""
    later: str = ""

    @property
    def published(self) -> str:
        """The name by which it was allocated."""
        return self.alias or self.device


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A claim's record.

    Attributes:
        boot_id: of the boot in which it was written.
        writer: the version of the driver that wrote it; empty if it does not say.
        later: as in HeldDevice.
    """

    uid: str
    namespace: str
    name: str
    state: str
    boot_id: str
    devices: tuple[HeldDevice, ...]
    writer: str = ""
    later: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LostRecord:
    """A record that is there and cannot be read: of which claim, which file, and why."""

    uid: str
    file: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Everything that a store holds.

    Attributes:
        records: those that could be read, and those of newer drivers (state NEWER).
        lost: those that could not.
        empty: whether there was no record at all, not even one that is lost.
    """

    records: tuple[Record, ...] = ()
    lost: tuple[LostRecord, ...] = ()
    empty: bool = False

"""What stands behind a name: bytes or names, as they are now and as the disk has them."""

import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

# How much of a write is lost or kept as one. Far less than a disk's sector: the more pieces, the more can go wrong.
SECTOR = 64


@dataclass(slots=True, eq=False)
class Inode:
    """A folder, a file, or a node without bytes (a socket).

    Attributes:
        data, synced: bytes now, and on the disk.
        writes: (offset, bytes) or (length, None) for a truncation, since the last sync.
        names, kept: entries now, and on the disk.
        moves: (name, entry or None), since the last sync.
    """

    number: int
    mode: int
    data: bytearray = field(default_factory=bytearray)
    synced: bytes = b""
    writes: list[tuple[int, bytes | None]] = field(default_factory=list)
    names: dict[str, "Inode"] = field(default_factory=dict)
    kept: dict[str, "Inode"] = field(default_factory=dict)
    moves: list[tuple[str, "Inode | None"]] = field(default_factory=list)

    @property
    def is_folder(self) -> bool:
        """Whether it holds names."""
        return stat.S_ISDIR(self.mode)

    def write(self, offset: int, data: bytes) -> None:
        """Writes now; the disk has it later."""
        _put(self.data, offset, data)
        self.writes += [(offset + at, data[at : at + SECTOR]) for at in range(0, len(data), SECTOR)]

    def truncate(self, length: int) -> None:
        """Cuts or extends to a length."""
        if length != len(self.data):
            _cut(self.data, length)
            self.writes.append((length, None))

    def enter(self, name: str, entry: "Inode | None") -> None:
        """Names an entry, or with None forgets a name."""
        _name(self.names, name, entry)
        self.moves.append((name, entry))

    def sync(self) -> None:
        """The disk has all of it: of a file its bytes, of a folder its names and nothing of what they stand for."""
        self.synced, self.kept = bytes(self.data), dict(self.names)
        self.writes.clear()
        self.moves.clear()

    def lose(self, kept: Iterator[bool]) -> None:
        """The power is cut: of what was not synced that stays for which `kept` says so."""
        data, names = bytearray(self.synced), dict(self.kept)
        for offset, piece in self.writes:
            if not next(kept):
                continue
            if piece is None:
                _cut(data, offset)
            else:
                _put(data, offset, piece)
        for name, entry in self.moves:
            if next(kept):
                _name(names, name, entry)
        self.data, self.names = data, names
        self.sync()

    @property
    def unsynced(self) -> int:
        """How many pieces a cut may take."""
        return len(self.writes) + len(self.moves)


def _put(data: bytearray, offset: int, piece: bytes) -> None:
    if len(data) < offset:
        data.extend(bytes(offset - len(data)))
    data[offset : offset + len(piece)] = piece


def _cut(data: bytearray, length: int) -> None:
    del data[length:]
    data.extend(bytes(length - len(data)))


def _name(names: dict[str, Inode], name: str, entry: Inode | None) -> None:
    if entry is None:
        names.pop(name, None)
    else:
        names[name] = entry

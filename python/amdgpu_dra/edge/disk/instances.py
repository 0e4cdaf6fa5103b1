"""What instances of the plugin on one node tell each other, through one file: locks, and that records have changed.

Two of them run during a rolling update. The locks are those of an open file description (`F_OFD_SETLK`) on single bytes
far behind the file's end: any number of them in one file, and the kernel frees those of a killed process.
"""

import fcntl
import hashlib
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from amdgpu_dra.api.errors import HostError
from amdgpu_dra.core.gpu import PciAddress
from amdgpu_dra.edge.disk.atomic import host_errors

# struct flock of 64-bit Linux: type, whence, start, length, pid.
_FLOCK = struct.Struct("hhqqi4x")
_COUNT = struct.Struct("<Q")
# The file: how many instances have started, then a count of changes for each of those that may run at once.
_SLOTS = 31
_SIZE = _COUNT.size * (1 + _SLOTS)
# Bytes that are locked, by what they stand for.
_REGION = 1 << 58
_SLOT, _LEADER, _KEY, _SWITCH, _LOOK, _FILE = (number * _REGION for number in range(1, 7))


class InstanceFile:
    """`<folder>/instances`. Fulfils `agent/ports.Instances`. Everything but `exclusive` returns at once."""

    def __init__(self, folder: str) -> None:
        """Opens the file, and counts as an instance from here on, until `close` or the end of the process.

        Raises:
            HostError: the file cannot be made, or too many instances run.
        """
        self.path: Final = f"{folder}/instances"
        with host_errors(f"file of instances {self.path}", "to make and lock it"):
            os.makedirs(folder, mode=0o750, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with self.exclusive():
                missing = _SIZE - os.fstat(self._file).st_size
                if missing > 0:
                    # With its blocks, so that a full disk later does not matter.
                    os.posix_fallocate(self._file, _SIZE - missing, missing)
                self._number = self._read(0) + 1
                self._write(0, self._number)
                slot = self._take_slot()
        self._changes, self._own = self._read(slot), slot * _COUNT.size
        self._looks, self._stands = 0, False

    def _take_slot(self) -> int:
        for slot in range(1, 1 + _SLOTS):
            if self._set(fcntl.F_WRLCK, _SLOT + slot):
                return slot
        raise HostError(
            f"file of instances {self.path}",
            expected=f"fewer than {_SLOTS} instances of the plugin on this node",
            found="more",
            action="end those that are not needed",
        )

    def close(self) -> None:
        """Frees every lock, as the end of the process does."""
        os.close(self._file)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Waits until no other instance is in here: for what takes microseconds, and comes at start and stop."""
        fcntl.fcntl(self._file, fcntl.F_OFD_SETLKW, _flock(fcntl.F_WRLCK, _FILE))
        try:
            yield
        finally:
            self._set(fcntl.F_UNLCK, _FILE)

    def try_lock(self, key: str) -> bool:
        """See the port."""
        return self._set(fcntl.F_WRLCK, _of(key))

    def unlock(self, key: str) -> None:
        """See the port."""
        self._set(fcntl.F_UNLCK, _of(key))

    def try_switch(self, address: PciAddress) -> bool:
        """See the port."""
        return self._set(fcntl.F_WRLCK, _SWITCH + _pack(address))

    def end_switch(self, address: PciAddress) -> None:
        """See the port."""
        self._set(fcntl.F_UNLCK, _SWITCH + _pack(address))

    def find_switching(self) -> frozenset[PciAddress]:
        """See the port."""
        found, at = set[PciAddress](), _SWITCH
        while (at := self._find(at, _SWITCH + _REGION)) >= 0:
            found.add(_unpack(at - _SWITCH))
            at += 1
        return frozenset(found)

    def begin_look(self) -> None:
        """See the port."""
        self._looks += 1
        if self._looks == 1:
            self._set(fcntl.F_RDLCK, _LOOK)

    def end_look(self) -> None:
        """See the port."""
        self._looks -= 1
        if self._looks == 0:
            self._set(fcntl.F_UNLCK, _LOOK)

    @property
    def others_look(self) -> bool:
        """See the port."""
        return self._find(_LOOK, _LOOK + 1) >= 0

    @property
    def alone(self) -> bool:
        """See the port."""
        return self._find(_SLOT, _SLOT + _REGION) < 0

    def lead(self) -> None:
        """See the port."""
        self._stands = self._set(fcntl.F_WRLCK, _LEADER + self._number)

    @property
    def leads(self) -> bool:
        """See the port."""
        return self._stands and self._find(_LEADER + self._number + 1, _LEADER + _REGION) < 0

    def get_version(self) -> bytes:
        """See the port."""
        try:
            counts = os.pread(self._file, _SIZE, 0)
        except OSError as error:
            raise self._error("to read it", error) from error
        # A killed instance may not have come to count its last change.
        return counts[_COUNT.size : self._own] + counts[self._own + _COUNT.size :] + (b"1" if self.alone else b"0")

    @contextmanager
    def changing(self) -> Iterator[None]:
        """See the port."""
        self._count()
        yield
        self._count()

    def _count(self) -> None:
        # Two threads may count to the same number: it only has to differ from what it was before.
        self._changes += 1
        try:
            os.pwrite(self._file, _COUNT.pack(self._changes), self._own)
        except OSError as error:
            raise self._error("to write in it", error) from error

    def _error(self, expected: str, error: OSError) -> HostError:
        return HostError(
            f"file of instances {self.path}",
            expected=expected,
            found=str(error),
            action="see dmesg for its disk; nothing is lost, the kubelet tries again",
        )

    def _read(self, slot: int) -> int:
        count: int = _COUNT.unpack(os.pread(self._file, _COUNT.size, slot * _COUNT.size))[0]
        return count

    def _write(self, slot: int, count: int) -> None:
        os.pwrite(self._file, _COUNT.pack(count), slot * _COUNT.size)

    def _set(self, kind: int, byte: int) -> bool:
        try:
            fcntl.fcntl(self._file, fcntl.F_OFD_SETLK, _flock(kind, byte))
        except BlockingIOError:
            return False
        return True

    def _find(self, start: int, end: int) -> int:
        """The first byte of the range that another instance has locked, or -1."""
        kind, _, byte, _, _ = _FLOCK.unpack(
            fcntl.fcntl(self._file, fcntl.F_OFD_GETLK, _flock(fcntl.F_WRLCK, start, end - start))
        )
        return -1 if kind == fcntl.F_UNLCK else int(byte)


def _flock(kind: int, start: int, length: int = 1) -> bytes:
    return _FLOCK.pack(kind, os.SEEK_SET, start, length, 0)


def _of(key: str) -> int:
    return _KEY + int.from_bytes(hashlib.blake2b(key.encode(), digest_size=7).digest())


def _pack(address: PciAddress) -> int:
    return address.domain << 16 | address.bus << 8 | address.device << 3 | address.function


def _unpack(number: int) -> PciAddress:
    return PciAddress(number >> 16, number >> 8 & 0xFF, number >> 3 & 0x1F, number & 7)

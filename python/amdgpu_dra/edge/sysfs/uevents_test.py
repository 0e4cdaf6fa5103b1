"""Uevents: what concerns GPUs is heard, what the kernel did not send is not believed, and what is lost counts."""

import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.edge.sysfs.uevents import Uevents, concerns_gpus, open_uevents, parse_uevent

# Of every machine, and without any effect: the kernel says once more that it is there.
_NULL = Path("/sys/class/mem/null/uevent")


def _poke() -> None:
    _NULL.write_text("change")


def _message(path: str, **fields: str) -> bytes:
    return b"\0".join([f"add@{path}".encode(), *(f"{key}={value}".encode() for key, value in fields.items()), b""])


@given(st.binary(max_size=200))
def test_no_message_is_too_strange(message: bytes) -> None:
    """Whatever comes is parsed to text, and nothing is raised."""
    fields = parse_uevent(message)
    assert all(isinstance(value, str) for value in fields.values())
    assert concerns_gpus(fields) in (True, False)


@given(st.dictionaries(st.from_regex(r"[A-Z_]{1,9}", fullmatch=True), st.from_regex(r"[ -~]{0,20}", fullmatch=True)))
def test_fields_come_back(fields: dict[str, str]) -> None:
    """The fields of a message are those that were put into it."""
    assert parse_uevent(_message("/devices/x", **fields)) == fields


@pytest.mark.parametrize(
    ("fields", "concerns"),
    [
        ({"SUBSYSTEM": "pci", "DEVPATH": "/devices/pci0000:00/0000:05:00.0", "PCI_ID": "1002:74A1"}, True),
        ({"SUBSYSTEM": "pci", "DEVPATH": "/devices/pci0000:00/0000:05:00.0", "DRIVER": "amdgpu"}, True),
        ({"SUBSYSTEM": "pci", "DEVPATH": "/devices/pci0000:00/0000:01:00.0", "PCI_ID": "144D:A80A"}, False),
        ({"SUBSYSTEM": "drm", "DEVPATH": "/devices/pci0000:00/0000:05:00.0/drm/card0"}, True),
        ({"SUBSYSTEM": "kfd", "DEVPATH": "/devices/virtual/kfd/kfd"}, True),
        ({"SUBSYSTEM": "module", "DEVPATH": "/module/amdgpu"}, True),
        ({"SUBSYSTEM": "module", "DEVPATH": "/module/nvme"}, False),
        ({"SUBSYSTEM": "drivers", "DEVPATH": "/bus/pci/drivers/amdgpu"}, True),
        ({"SUBSYSTEM": "platform", "DEVPATH": "/devices/platform/amdgpu_xcp_3"}, True),
        ({"SUBSYSTEM": "net", "DEVPATH": "/devices/virtual/net/veth0"}, False),
        ({}, False),
    ],
    ids=["gpu", "bound", "disk", "card", "kfd", "module", "other-module", "driver", "partition", "network", "none"],
)
def test_what_concerns_gpus(fields: dict[str, str], *, concerns: bool) -> None:
    """GPUs, their nodes and their driver do; disks, networks and other modules do not."""
    assert concerns_gpus(fields) is concerns


class _Script:
    """A socket of which each reading gives the next of a list; always readable until that is empty."""

    def __init__(self, *readings: tuple[bytes, tuple[int, int]] | OSError) -> None:
        self.readings = list(readings)
        self._ends = socket.socketpair()
        self._ends[1].send(b"x")

    def fileno(self) -> int:
        """For the loop."""
        return self._ends[0].fileno()

    def recvfrom(self, _size: int) -> tuple[bytes, tuple[int, int]]:
        """The next reading."""
        if not self.readings:
            self._ends[0].recv(1)
            raise BlockingIOError
        reading = self.readings.pop(0)
        if isinstance(reading, OSError):
            raise reading
        return reading

    def close(self) -> None:
        """Closes both ends."""
        for end in self._ends:
            end.close()


async def _heard(source: Any) -> bool:
    """Whether something is heard by the time that all of a script is read."""
    uevents = Uevents()
    uevents.open(source)
    waiting = asyncio.ensure_future(uevents.wait())
    async with asyncio.timeout(10):
        while source.readings:
            await asyncio.sleep(0)
    for _ in range(5):
        await asyncio.sleep(0)
    heard = waiting.done()
    waiting.cancel()
    uevents.close()
    return heard


_GPU = _message("/devices/pci0000:00/0000:05:00.0", SUBSYSTEM="pci", PCI_ID="1002:74A1")


@pytest.mark.parametrize(
    ("reading", "heard"),
    [
        ((_GPU, (0, 1)), True),
        ((_GPU, (4711, 1)), False),
        ((b"libudev\0" + _GPU, (0, 2)), False),
        (OSError(105, "No buffer space available"), True),
    ],
    ids=["kernel", "forged", "not-a-uevent", "overflow"],
)
def test_only_the_kernel_is_believed(reading: tuple[bytes, tuple[int, int]] | OSError, *, heard: bool) -> None:
    """A message with another sender than the kernel is none; messages that were lost are one."""
    assert asyncio.run(_heard(_Script(reading))) is heard


def test_many_messages_are_one() -> None:
    """A storm wakes once; who waits again waits for the next."""

    async def story() -> None:
        script: Any = _Script(*((_GPU, (0, 1)) for _ in range(1000)))
        uevents = Uevents()
        uevents.open(script)
        async with asyncio.timeout(10):
            while script.readings:
                await asyncio.sleep(0)
            await uevents.wait()
        again = asyncio.ensure_future(uevents.wait())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not again.done()
        again.cancel()
        uevents.close()

    asyncio.run(story())


@contextmanager
def _real(act: Callable[[], object]) -> Iterator[socket.socket]:
    """A real socket, on which what `act` causes may be awaited; skips where that is not permitted."""
    try:
        heard = open_uevents()
    except OSError as error:
        pytest.skip(f"a netlink socket needs root or a kernel that has it: {error}")
    with heard:
        try:
            act()
        except OSError as error:
            pytest.skip(f"causing a uevent needs root: {error}")
        yield heard


async def _receive(heard: socket.socket) -> tuple[dict[str, str], int]:
    """Fields and sender of the next message."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(10):
        message, (sender, _group) = await loop.sock_recvfrom(heard, 8192)
    return parse_uevent(message), sender


def test_the_real_kernel_is_understood() -> None:
    """A uevent of a device of this machine comes with the kernel's number 0, its action, path and subsystem."""

    async def story() -> None:
        with _real(_poke) as heard:
            while True:
                fields, sender = await _receive(heard)
                if fields.get("DEVPATH") == "/devices/virtual/mem/null":
                    break
            assert sender == 0
            assert (fields["ACTION"], fields["SUBSYSTEM"]) == ("change", "mem")

    asyncio.run(story())


def test_a_forged_message_is_told_from_the_kernels() -> None:
    """What another process sends to the group reaches the real socket, with a sender, and wakes nobody."""

    def forge() -> None:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 15) as other:
            other.sendto(_GPU, (0, 1))

    async def story() -> None:
        with _real(forge) as heard:
            while (found := await _receive(heard))[0].get("PCI_ID") != "1002:74A1":
                pass
            assert found[1] != 0
            uevents = Uevents()
            uevents.open()
            waiting = asyncio.ensure_future(uevents.wait())
            forge()
            _poke()
            # Both sockets have the two in this order: once the second is here, the first was refused there.
            while (await _receive(heard))[0].get("DEVPATH") != "/devices/virtual/mem/null":
                pass
            for _ in range(5):
                await asyncio.sleep(0)
            assert not waiting.done()
            waiting.cancel()
            uevents.close()

    if os.geteuid():
        pytest.skip("sending to the group needs root")
    asyncio.run(story())

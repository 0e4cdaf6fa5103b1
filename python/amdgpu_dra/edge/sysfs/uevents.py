"""`Uevents`: hears from the kernel that something about GPUs has come, gone or changed.

The kernel sends a message to every socket of the group in its network namespace, and for devices that belong to no
network also to those in other network namespaces, as long as the first user namespace owns them
(lib/kobject_uevent.c). A pod therefore hears them, unless it has a user namespace of its own (`hostUsers: false`).
"""

import asyncio
import logging
import socket
from collections.abc import Mapping

_LOG = logging.getLogger("sysfs")
# linux/netlink.h; the kernel's own group, beside which udev has one for its messages.
_KOBJECT_UEVENT, _KERNEL_GROUP, _KERNEL = 15, 1, 0
# The kernel makes no longer one: UEVENT_BUFFER_SIZE and two lines.
_LONGEST = 8192
# In one go, so that a storm of messages does not hold up the loop.
_AT_ONCE = 256
_AMD = "1002:"


def parse_uevent(message: bytes) -> dict[str, str]:
    """The fields of a message (`ACTION@DEVPATH`, then `KEY=value`, each ended by a zero byte); empty if it is none."""
    head, *fields = message.split(b"\0")
    if b"@" not in head:
        return {}
    pairs = (field.decode("utf-8", "replace").partition("=") for field in fields if b"=" in field)
    return {key: value for key, _, value in pairs}


def concerns_gpus(fields: Mapping[str, str]) -> bool:
    """Whether a message may mean other GPUs, other device nodes, or another driver.

    PCI functions of AMD or under amdgpu; every DRM and KFD node; the driver and its module; partitions' own devices.
    """
    path = fields.get("DEVPATH", "")
    match fields.get("SUBSYSTEM"):
        case "pci":
            return fields.get("PCI_ID", "").startswith(_AMD) or fields.get("DRIVER") == "amdgpu"
        case "drm" | "kfd":
            return True
        case "module" | "drivers":
            return path.endswith("/amdgpu")
        case "platform":
            return "/amdgpu_xcp" in path
    return False


def open_uevents() -> socket.socket:
    """A socket that the kernel sends uevents to; needs no capability. Raises OSError where there are none."""
    heard = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, _KOBJECT_UEVENT)
    try:
        heard.bind((0, _KERNEL_GROUP))
    except OSError:
        heard.close()
        raise
    return heard


class Uevents:
    """Waits for uevents that concern GPUs. Fulfils `agent/ports.Hotplug`.

    What is not from the kernel is dropped: whoever has CAP_NET_ADMIN in this network namespace can send to the group.
    Messages that were lost because too many came count as one that concerns GPUs.
    """

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._heard = asyncio.Event()

    def open(self, heard: socket.socket | None = None) -> None:
        """Begins to listen, on a socket of `open_uevents`. Without one it says so, and nothing is ever heard."""
        try:
            self._socket = heard or open_uevents()
        except OSError as error:
            _LOG.warning("no uevents here (%s): changes are found by looking alone", error)
            return
        asyncio.get_running_loop().add_reader(self._socket, self._read, self._socket)

    async def wait(self) -> None:
        """See the port."""
        await self._heard.wait()
        self._heard.clear()

    def close(self) -> None:
        """Listens no more."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _read(self, heard: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                message, (sender, _group) = heard.recvfrom(_LONGEST)
            except BlockingIOError:
                return
            except OSError as error:
                # ENOBUFS: some were lost, and one of them may have been about a GPU. The kernel reports it once.
                _LOG.info("uevents were lost (%s)", error)
                self._heard.set()
                return
            if sender == _KERNEL and concerns_gpus(parse_uevent(message)):
                self._heard.set()

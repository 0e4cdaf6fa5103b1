"""Checks that a device node is the one that sysfs states."""

import os
import stat

from amdgpu_dra.api.errors import HostError, UsageError
from amdgpu_dra.core.gpu import DeviceNode

FAKE_MARKER = ".amdgpu-fake-dev"


class DeviceRoot:
    """A folder of device nodes: the node's `/dev`, or that of a fake tree.

    A fake tree that was rendered without root holds ordinary files in place of its nodes, and a marker. They are
    accepted only if `allow_fake` asks for it.
    """

    def __init__(self, root: str, *, allow_fake: bool = False) -> None:
        """Raises UsageError if fake nodes are asked for where they must never be."""
        self.root = root.rstrip("/") or "/"
        self.fake = allow_fake
        if not allow_fake:
            return
        if os.path.realpath(self.root) == "/dev":
            raise UsageError(
                "--allow-fake-device-nodes",
                expected="a device root other than /dev",
                found=f"--dev-root={root}",
                action="leave the flag out on a real node, or point --dev-root at a fake tree",
            )
        if not os.path.isfile(f"{self.root}/{FAKE_MARKER}"):
            raise UsageError(
                "--allow-fake-device-nodes",
                expected=f"the marker {self.root}/{FAKE_MARKER} that a rendered fake tree has",
                found="no such file",
                action="leave the flag out, or render a fake tree there",
            )

    def check(self, node: DeviceNode) -> None:
        """Returns if the node exists, is a character device and has the numbers that sysfs states.

        Raises:
            HostError: it does not; the message names the node.
        """
        path = f"{self.root}/{node.path}"
        try:
            found = os.stat(path)
        except OSError as error:
            raise self._refusal(path, node, f"nothing ({error.strerror})") from error
        if self.fake and stat.S_ISREG(found.st_mode):
            return
        if not stat.S_ISCHR(found.st_mode):
            raise self._refusal(path, node, f"a file of mode {stat.filemode(found.st_mode)}")
        numbers = os.major(found.st_rdev), os.minor(found.st_rdev)
        if numbers != (node.major, node.minor):
            raise self._refusal(path, node, f"a device {numbers[0]}:{numbers[1]}")

    def _refusal(self, path: str, node: DeviceNode, found: str) -> HostError:
        return HostError(
            f"device node {path}",
            expected=f"the character device {node.major}:{node.minor} that sysfs states",
            found=found,
            action="reload amdgpu or run udevadm trigger; the next attempt reads the node again",
        )

"""The fake kernel as a process: `fakegpu mount`, and the lines that it is told."""

import os
import signal
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from amdgpu_dra.api.errors import HostError
from amdgpu_dra.core.fakegpu import FleetSpec
from amdgpu_dra.core.fakekernel import Kernel, boot
from amdgpu_dra.edge.fakekernel import (
    CONTROL,
    Control,
    ControlServer,
    Node,
    RefusedError,
    mount,
    unmount,
    unmount_stale,
)
from amdgpu_dra.edge.faketree import make_ready, write_nodes

_STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def run_kernel(fleet: FleetSpec, folder: Path, *, delay: float) -> int:
    """Mounts `folder/sys`, keeps `folder/dev` as it states, listens on `folder/control`; returns after a signal.

    Raises:
        UsageError: the folder holds something else, or a mount that answers.
        HostError: this machine or user cannot mount FUSE.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    unmount_stale(str(folder / "sys"))
    make_ready(folder)
    (folder / CONTROL).unlink(missing_ok=True)

    def follow(kernel: Kernel) -> None:
        write_nodes(kernel.tree, folder / "dev", real=os.geteuid() == 0)

    kernel = replace(boot(fleet), delay=delay)
    node = Node(kernel, follow)
    follow(kernel)
    thread = mount(node, str(folder / "sys"))
    with ControlServer(node, str(folder / CONTROL)):
        print(f"{fleet.name}: {len(fleet.gpus)} GPUs in {folder}/sys and {folder}/dev, control by {folder}/{CONTROL}")
        sys.stdout.flush()
        # A mount that somebody else takes away ends it too.
        while signal.sigtimedwait(_STOPS, 0.5) is None and thread.is_alive():
            pass
    node.close()
    if thread.is_alive():
        unmount(str(folder / "sys"))
    return 0


def send_lines(folder: Path, lines: Iterable[str]) -> int:
    """Sends control lines and prints the answers; 1 at the first that is refused.

    Raises:
        HostError: no fake kernel listens there.
    """
    control = Control(str(folder / CONTROL))
    for line in lines:
        try:
            print(control.send(line))
        except RefusedError as error:
            print(f"fakegpu: {error}", file=sys.stderr)
            return 1
        except OSError as error:
            raise HostError(
                f"control socket {folder / CONTROL}",
                expected="a fake kernel that listens",
                found=str(error),
                action="start one with `fakegpu mount`, or correct --at",
            ) from error
    return 0

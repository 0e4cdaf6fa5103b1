"""A fake kernel: a fleet's tree as a value that answers writes as amdgpu does, and control lines that make it fail.

Knows what a write changes and which errno it earns. Refuses to know time, threads and mounts, and does no arithmetic of
its own: numbers and memory are those of `core/fakegpu`.
"""

from amdgpu_dra.core.fakekernel.control import COMMANDS, ControlError, describe, obey
from amdgpu_dra.core.fakekernel.driver import boot, load, reboot, unload
from amdgpu_dra.core.fakekernel.kernel import Kernel, Outcome
from amdgpu_dra.core.fakekernel.modes import automatic, finish, waits_for, write

__all__ = [
    "COMMANDS",
    "ControlError",
    "Kernel",
    "Outcome",
    "automatic",
    "boot",
    "describe",
    "finish",
    "load",
    "obey",
    "reboot",
    "unload",
    "waits_for",
    "write",
]

"""What the kernel answers to a write of a compute mode, and who is in its way.

Sources: drivers/gpu/drm/amd amdgpu/amdgpu_gfx.c (amdgpu_gfx_set_compute_partition), amdkfd/kfd_device.c
(kgd2kfd_check_and_lock_kfd), amdkfd/kfd_process.c (class/kfd/kfd/proc).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from amdgpu_dra.core.gpu import Gpu

_SHOWN = 4


class Outcome(Enum):
    """What became of a write; the value says what the kernel means by it."""

    DONE = "done"
    BUSY = "EBUSY: processes have the GPU open, or their end is not complete"
    ILLEGAL = "EINVAL: amdgpu does not allow this mode, as the memory mode stands"
    RESETTING = "EPERM: the GPU is being reset"
    FAILED = "EIO: KFD could not set up the partitions"
    DENIED = "EACCES: the plugin may not write the file"
    GONE = "no such file: the GPU has gone, or has no modes"

    @property
    def passes(self) -> bool:
        """Whether trying again soon may help."""
        return self in (Outcome.BUSY, Outcome.RESETTING)

    @property
    def spoils(self) -> bool:
        """Whether the mode cannot be had from this GPU until its driver is loaded again."""
        return self in (Outcome.FAILED, Outcome.ILLEGAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class KfdProcess:
    """A process that has `/dev/kfd` open.

    Attributes:
        pid: in the node's own PID namespace.
        name: of its command; empty if it cannot be known here.
        gpu_ids: KFD's ids of the GPUs on which it has memory, or could have; empty if KFD does not list it.
    """

    pid: int
    name: str = ""
    gpu_ids: frozenset[int] = frozenset()

    def __str__(self) -> str:
        return f"{self.name} (PID {self.pid})" if self.name else f"PID {self.pid} of the node"


def processes_on(gpu: Gpu, processes: Iterable[KfdProcess]) -> tuple[KfdProcess, ...]:
    """Those that have memory on this GPU, by PID."""
    ids = {part.gpu_id for part in gpu.partitions}
    return tuple(sorted((process for process in processes if process.gpu_ids & ids), key=lambda process: process.pid))


def disproves(gpu: Gpu, processes: Iterable[KfdProcess]) -> bool:
    """Whether EBUSY for this GPU proves that this kernel cannot switch one GPU while another is in use.

    It does if no process has memory on it and one has on another GPU. Older kernels (6.12) refuse while any process
    anywhere has `/dev/kfd` open.
    """
    elsewhere = [process for process in processes if process.gpu_ids]
    return bool(elsewhere) and not processes_on(gpu, elsewhere)


def name_holders(processes: Iterable[KfdProcess]) -> str:
    """The processes for a message: the first few, and how many more."""
    names = [str(process) for process in processes]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def refusal(outcome: Outcome, holders: Iterable[KfdProcess], openers: Iterable[KfdProcess]) -> str:
    """What was found in place of a switch.

    `holders` have memory on the GPU; `openers` have `/dev/kfd` open, told where no holder is known.
    """
    if outcome is not Outcome.BUSY:
        return str(outcome.value)
    if named := name_holders(holders):
        return f"EBUSY: it is in use by {named}"
    if named := name_holders(openers):
        return f"EBUSY: KFD names nobody on this GPU; /dev/kfd is open in {named}"
    return "EBUSY: KFD names nobody on this GPU; a process that has ended may not be cleared away yet"

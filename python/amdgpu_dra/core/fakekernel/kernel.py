"""The state of a fake kernel, and the tree that it shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from amdgpu_dra.core.fakegpu import FleetSpec, GpuSpec, History, folder_of
from amdgpu_dra.core.fakekernel.files import Extras, dress
from amdgpu_dra.core.gpu import PciAddress, TreeText


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """One node's kernel.

    Attributes:
        fleet: every GPU, plugged in or not, in the modes it is in now.
        history: what the driver has done since it was loaded.
        loaded: whether amdgpu is loaded.
        per_gpu: KFD processes block a switch of the GPUs they hold; else one of any GPU.
        delay: seconds that a switch takes.
        switching: GPU whose switch is under way -> the mode it will be in.
        holders: KFD process -> the GPUs it may use.
        resetting, failing, lost, unplugged: GPUs in reset; whose next switch ends with EIO; that fell off the bus; that
            are not in their slot.
        requested: GPU -> the memory mode that the next load of the driver brings.
        counts: (GPU, `ras/umc` or `aer`, `ue`) -> errors counted.
    """

    fleet: FleetSpec
    history: History
    loaded: bool = True
    per_gpu: bool = True
    delay: float = 0.0
    switching: Mapping[PciAddress, str] = field(default_factory=dict)
    holders: Mapping[int, frozenset[PciAddress]] = field(default_factory=dict)
    resetting: frozenset[PciAddress] = frozenset()
    failing: frozenset[PciAddress] = frozenset()
    lost: frozenset[PciAddress] = frozenset()
    unplugged: frozenset[PciAddress] = frozenset()
    requested: Mapping[PciAddress, str] = field(default_factory=dict)
    counts: Mapping[tuple[PciAddress, str, str], int] = field(default_factory=dict)

    @property
    def present(self) -> FleetSpec:
        """The fleet without the GPUs that are not plugged in."""
        return replace(self.fleet, gpus=tuple(gpu for gpu in self.fleet.gpus if gpu.address not in self.unplugged))

    @cached_property
    def tree(self) -> TreeText:
        """What sysfs shows now."""
        extras = Extras(
            loaded=self.loaded,
            holders=self.holders,
            resetting=self.resetting,
            lost=self.lost,
            counts=self.counts,
        )
        return dress(self.present, self.history, extras)

    def find_gpu(self, path: str) -> GpuSpec | None:
        """The GPU in whose PCI folder a path, links followed, lies; None if it lies in none."""
        real = self.tree.resolve(path)
        return next((gpu for gpu in self.present.gpus if real.startswith(folder_of(gpu) + "/")), None)

    def changed(self, gpu: GpuSpec) -> FleetSpec:
        """The fleet with another state of one of its GPUs."""
        return replace(self.fleet, gpus=tuple(gpu if old.address == gpu.address else old for old in self.fleet.gpus))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an operation came to.

    Attributes:
        kernel: as it is now; the same one where `errno` is set, except after a failed end of a switch.
        errno: the name of the error that the caller gets, None for success.
        reason: a sentence for it, as the kernel's log has one.
        begun: the GPU whose switch has begun; the caller waits `delay` and calls `finish`.
        waits: the GPU whose switch must end first; the caller waits for that and tries again.
    """

    kernel: Kernel
    errno: str | None = None
    reason: str = ""
    begun: PciAddress | None = None
    waits: PciAddress | None = None

"""Loading and unloading the driver, plugging GPUs: what makes all numbers anew."""

from collections.abc import Mapping
from dataclasses import replace

from amdgpu_dra.core.fakegpu import MODELS, FleetSpec, GpuSpec, History, probe
from amdgpu_dra.core.fakekernel.kernel import Kernel, Outcome
from amdgpu_dra.core.fakekernel.modes import automatic
from amdgpu_dra.core.gpu import PciAddress


def boot(fleet: FleetSpec) -> Kernel:
    """A kernel whose driver was just loaded and found the GPUs in the modes that the fleet states."""
    return Kernel(fleet=fleet, history=probe(fleet), per_gpu=fleet.kernel == "7.x")


def _in_use(kernel: Kernel) -> Outcome | None:
    if kernel.holders or kernel.switching:
        return Outcome(kernel=kernel, errno="EBUSY", reason="Module amdgpu is in use")
    return None


def unload(kernel: Kernel) -> Outcome:
    """Takes the driver away, with every KFD node and DRM device; EBUSY while a process uses it."""
    return _in_use(kernel) or Outcome(kernel=replace(kernel, loaded=False, history=History(drm={})))


def load(kernel: Kernel) -> Outcome:
    """Loads the driver: requested memory modes come into force, compute modes are chosen anew, counters start at 0."""
    if kernel.loaded:
        return Outcome(kernel=kernel)
    return Outcome(kernel=_loaded(kernel, kernel.requested))


def reboot(kernel: Kernel) -> Outcome:
    """Starts the node anew: every GPU that can change its modes is in NPS1, and nobody uses any; EBUSY in a switch."""
    if kernel.switching:
        return Outcome(kernel=kernel, errno="EBUSY", reason="a GPU is being switched")
    modes = {gpu.address: "NPS1" for gpu in kernel.fleet.gpus if "NPS1" in MODELS[gpu.model].legal}
    return Outcome(kernel=_loaded(replace(kernel, holders={}), modes))


def _loaded(kernel: Kernel, modes: Mapping[PciAddress, str]) -> Kernel:
    gpus = tuple(_fresh(gpu, modes.get(gpu.address)) for gpu in kernel.fleet.gpus)
    started = replace(kernel, fleet=replace(kernel.fleet, gpus=gpus), loaded=True, requested={})
    retired = {key: value for key, value in kernel.counts.items() if key[1] == "badpages"}
    return replace(started, history=probe(started.present), counts=retired, resetting=frozenset(), failing=frozenset())


def _fresh(gpu: GpuSpec, memory: str | None) -> GpuSpec:
    if gpu.compute is None or gpu.memory is None or gpu.virtual:
        return gpu
    now = memory or gpu.memory
    return replace(gpu, memory=now, compute=automatic(MODELS[gpu.model], now))


def unplug(kernel: Kernel, gpu: GpuSpec) -> Outcome:
    """Takes a GPU out of its slot, also from under its users; EBUSY while it is being switched."""
    if gpu.address in kernel.switching:
        return Outcome(kernel=kernel, errno="EBUSY", reason=f"{gpu.address} is being switched")
    if gpu.address in kernel.unplugged:
        return Outcome(kernel=kernel)
    history = kernel.history.without_nodes(gpu).without_drm(gpu) if kernel.loaded else kernel.history
    return Outcome(kernel=replace(kernel, history=history, unplugged=kernel.unplugged | {gpu.address}))


def plug(kernel: Kernel, gpu: GpuSpec) -> Outcome:
    """Puts a GPU back: it comes up in its own mode, with the lowest free numbers and nodes after all others."""
    if gpu.address not in kernel.unplugged:
        return Outcome(kernel=kernel)
    now = _fresh(gpu, None)
    healthy = replace(
        kernel, fleet=kernel.changed(now), unplugged=kernel.unplugged - {gpu.address}, lost=kernel.lost - {gpu.address}
    )
    if not kernel.loaded:
        return Outcome(kernel=healthy)
    return Outcome(kernel=replace(healthy, history=kernel.history.with_drm(kernel.fleet, now).with_nodes(now)))

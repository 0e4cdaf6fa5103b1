"""Writes of the mode files: what they change, and what refuses them.

Sources: amdgpu_gfx.c amdgpu_gfx_set_compute_partition, amdgpu_xcp.c, aqua_vanjaram.c, amdgpu_gmc.c, kfd_device.c.
"""

from dataclasses import replace

from amdgpu_dra.core.fakegpu import MODELS, GpuSpec, Model
from amdgpu_dra.core.fakekernel.kernel import Kernel, Outcome
from amdgpu_dra.core.gpu import PciAddress, paths
from amdgpu_dra.core.models import COMPUTE_MODES


def write(kernel: Kernel, path: str, data: bytes) -> Outcome:
    """A write of a whole text to a file, by any of its paths."""
    tree = kernel.tree
    real = tree.resolve(path)
    if real not in tree.writable:
        known = real in tree.files
        return Outcome(kernel=kernel, errno="EACCES" if known else "ENOENT", reason=f"{path} cannot be written")
    gpu = kernel.find_gpu(real)
    if gpu is None:
        raise ValueError(f"{path}: expected writable files in the folders of GPUs only")
    if gpu.address in kernel.switching:
        return Outcome(kernel=kernel, waits=gpu.address)
    text = data.decode("ascii", "replace").upper()
    judge = _compute if real.endswith(paths.COMPUTE_MODE) else _memory
    return judge(kernel, gpu, text)


def waits_for(kernel: Kernel, path: str) -> PciAddress | None:
    """The GPU whose switch a reader of this file waits for: the mode is behind the lock that a switch holds."""
    if not kernel.switching or not path.endswith(f"/{paths.COMPUTE_MODE}"):
        return None
    gpu = kernel.find_gpu(path)
    return gpu.address if gpu is not None and gpu.address in kernel.switching else None


def _compute(kernel: Kernel, gpu: GpuSpec, text: str) -> Outcome:
    mode = next((mode for mode in COMPUTE_MODES if text.startswith(mode)), None)
    if mode is None:
        return Outcome(kernel=kernel, errno="EINVAL", reason=f"{text!r} is no compute mode")
    if gpu.address in kernel.resetting and kernel.fleet.kernel == "7.x":
        return Outcome(kernel=kernel, errno="EPERM", reason=f"{gpu.address} is being reset")
    if mode == gpu.compute:
        return Outcome(kernel=kernel)
    memory = gpu.memory or "NPS1"
    if mode not in MODELS[gpu.model].legal[memory]:
        reason = f"Invalid compute partition mode requested, requested: {mode}, memory partitions: {memory}"
        return Outcome(kernel=kernel, errno="EINVAL", reason=reason)
    held = [pid for pid, gpus in kernel.holders.items() if gpu.address in gpus or (not kernel.per_gpu and gpus)]
    if held:
        return Outcome(kernel=kernel, errno="EBUSY", reason=f"KFD processes {sorted(held)} hold the GPU")
    begun = replace(
        kernel,
        history=kernel.history.without_nodes(gpu),
        switching={**kernel.switching, gpu.address: mode},
    )
    return Outcome(kernel=begun, begun=gpu.address)


def finish(kernel: Kernel, address: PciAddress) -> Outcome:
    """Ends the switch of a GPU: its new nodes come after all others; EIO, and none, if KFD does not come back."""
    gpu = next(gpu for gpu in kernel.fleet.gpus if gpu.address == address)
    now = replace(gpu, compute=kernel.switching[address])
    left = {other: mode for other, mode in kernel.switching.items() if other != address}
    failed = address in kernel.failing | kernel.lost
    ended = replace(
        kernel,
        fleet=kernel.changed(now),
        history=kernel.history if failed else kernel.history.with_nodes(now),
        switching=left,
        failing=kernel.failing - {address},
    )
    reason = f"{address}: KFD did not come back after the switch" if failed else ""
    return Outcome(kernel=ended, errno="EIO" if failed else None, reason=reason)


def _memory(kernel: Kernel, gpu: GpuSpec, text: str) -> Outcome:
    mode = next((mode for mode in MODELS[gpu.model].legal if text.startswith(mode)), None)
    if mode is None:
        return Outcome(kernel=kernel, errno="EINVAL", reason=f"{text!r} is no memory mode of a {gpu.model}")
    if mode == gpu.memory:
        return Outcome(kernel=kernel)
    asked = {
        other.address: mode
        for other in kernel.present.gpus
        if other.address == gpu.address or (gpu.hive and other.hive == gpu.hive)
    }
    return Outcome(kernel=replace(kernel, requested={**kernel.requested, **asked}))


def automatic(model: Model, memory: str) -> str:
    """The compute mode in which a GPU comes up under a memory mode."""
    ranges = int(memory.removeprefix("NPS"))
    wanted = {1: "SPX", 2: "DPX"}.get(ranges, "CPX")
    return wanted if wanted in model.legal[memory] else model.legal[memory][0]

"""`judge(before, inventory, listing)`: the health of every device that is published, or was."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from amdgpu_dra.api.reasons import Reason
from amdgpu_dra.core.devices import Listing, NodeDevice, Withheld
from amdgpu_dra.core.gpu import Gpu, Inventory, PciAddress, paths
from amdgpu_dra.core.health.report import DeviceHealth, Health

LONGEST = 1024
"""Characters that a kubelet keeps of a message."""
# What a file of sysfs answers whose GPU does not answer. Other errors say only that it could not be read: EPERM, for
# one, is the answer while a GPU is being reset (amdgpu_gfx.c).
_DEAD = frozenset({"EIO", "ENODEV", "ENXIO", "ETIMEDOUT"})
# Reasons that concern a whole GPU, even where they are told of a partition.
_WHOLE_GPU = frozenset({Reason.NO_PCI_DEVICE, Reason.NO_KFD_DEVICE, Reason.UNKNOWN_MODE})

type _Verdict = tuple[Health, str]
_HEALTHY: _Verdict = (Health.HEALTHY, "")


def judge(before: Iterable[DeviceHealth], inventory: Inventory, listing: Listing) -> tuple[DeviceHealth, ...]:
    """Every device that is listed now or was there before, by name.

    Args:
        before: what the last judgement gave; it is how a device is known that has gone.
        inventory: of this look.
        listing: what is published of it.
    """
    files = _judge_files(inventory)
    found = {device.name: _judge_listed(device, files) for device in listing.devices}
    gpus = {gpu.address: gpu for gpu in inventory.gpus}
    published = {device.published for device in listing.devices}
    for old in before:
        if old.name in found:
            found[old.name] = replace(found[old.name], existed=found[old.name].existed or old.existed)
            continue
        gpu = gpus.get(old.gpu)
        # A partition of another mode that is no longer offered has not gone: it never was there. What has gone and
        # whose alias is another's by now has no name left.
        if old.published not in published and (gpu is None or old.existed):
            verdict = _without_gpu(inventory, old.gpu) if gpu is None else _withheld(old, gpu, listing, files)
            found[old.name] = _say(old, verdict)
    return tuple(found[name] for name in sorted(found))


def doubt(before: Iterable[DeviceHealth], why: str) -> tuple[DeviceHealth, ...]:
    """The same devices when nothing can be told of any of them, and why."""
    return tuple(_say(item, (Health.UNKNOWN, why)) for item in before)


def withdraw(judged: tuple[DeviceHealth, ...], withdrawn: Mapping[str, str]) -> tuple[DeviceHealth, ...]:
    """The same devices, of which those are unhealthy that claims hold and cannot use: published name -> why.

    A GPU that stands where another was is healthy by its files. For the pod that has the other it is not.
    """
    return tuple(
        _say(item, (Health.UNHEALTHY, withdrawn[item.published]))
        if item.published in withdrawn and item.health == Health.HEALTHY
        else item
        for item in judged
    )


def _say(item: DeviceHealth, verdict: _Verdict) -> DeviceHealth:
    health, text = verdict
    return replace(item, health=health, message=text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…")


def _judge_listed(device: NodeDevice, files: dict[PciAddress, _Verdict]) -> DeviceHealth:
    """Partitions of other modes have the health of their GPU."""
    item = DeviceHealth(
        name=device.name,
        gpu=device.gpu.address,
        existed=device.is_current,
        health=Health.HEALTHY,
        alias=device.alias,
    )
    return _say(item, files.get(device.gpu.address, _HEALTHY))


def _judge_files(inventory: Inventory) -> dict[PciAddress, _Verdict]:
    """GPUs of whose PCI folder a file is there and cannot be read; the first that shows a dead GPU, else the first."""
    found: dict[PciAddress, _Verdict] = {}
    for problem in sorted(inventory.problems, key=lambda item: (item.errno not in _DEAD, item.path)):
        folder, _, rest = problem.path.removeprefix(f"{paths.PCI_DEVICES}/").partition("/")
        address = PciAddress.find(folder)
        if not problem.errno or not rest or address is None:
            continue
        dead = problem.errno in _DEAD
        advice = "the GPU does not answer: see dmesg" if dead else "it may be in reset: whether it works is not known"
        health = Health.UNHEALTHY if dead else Health.UNKNOWN
        found.setdefault(address, (health, f"GPU {address}: {problem.path} {problem.reason}; {advice}"))
    return found


def _without_gpu(inventory: Inventory, address: PciAddress) -> _Verdict:
    if not inventory.driver_loaded:
        return Health.UNHEALTHY, f"GPU {address}: no amdgpu driver is loaded on the node"
    return Health.UNHEALTHY, f"GPU {address}: has gone from amdgpu and KFD; see dmesg whether it fell off the bus"


def _withheld(old: DeviceHealth, gpu: Gpu, listing: Listing, files: dict[PciAddress, _Verdict]) -> _Verdict:
    """Why a device that was there is not, while its GPU is."""
    items = [item for item in listing.withheld if item.gpu == gpu.address]
    for item in (*(item for item in items if item.device == old.name), *(item for item in items if _is_general(item))):
        health = Health.UNKNOWN if item.reason == Reason.UNKNOWN_MODE else Health.UNHEALTHY
        return health, f"{item.what}: withheld, {item.reason}: {item.detail}"
    if gpu.address in files:
        return files[gpu.address]
    mode = f"is in compute mode {gpu.compute_mode} and" if gpu.compute_mode else "is there and"
    return Health.UNHEALTHY, f"GPU {gpu.address}: {mode} has no device {old.name}"


def _is_general(item: Withheld) -> bool:
    return item.reason in _WHOLE_GPU or (item.reason == Reason.NO_KFD_NODE and not item.device)

"""`diff_slices(want, have)`: the fewest writes that leave a complete pool."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from amdgpu_dra.api.resource import Device, ResourceSlice, Taint


@dataclass(frozen=True, slots=True, kw_only=True)
class Actions:
    """Writes in their order: delete, update, create. `generation` is the pool's afterwards."""

    delete: tuple[ResourceSlice, ...] = ()
    update: tuple[ResourceSlice, ...] = ()
    create: tuple[ResourceSlice, ...] = ()
    generation: int = 0

    def __bool__(self) -> bool:
        return bool(self.delete or self.update or self.create)


def diff_slices(want: tuple[ResourceSlice, ...], have: Iterable[ResourceSlice]) -> Actions:
    """What to write so that `have` becomes `want`.

    Nothing, if they agree. One slice with other devices is updated in place and keeps the generation, since one write
    cannot be seen half done; anything more gets a new generation, under which all slices are written, so that a
    scheduler sees the old pool, an incomplete one, or the new one, and never a mixture (resourceslicecontroller.go).
    """
    by_name = {item.name: item for item in have}
    obsolete = tuple(item for name, item in sorted(by_name.items()) if not _is_ours(item, want))
    for item in obsolete:
        del by_name[item.name]
    missing = [item for item in want if item.name not in by_name]
    matched = [(item, by_name[item.name]) for item in want if item.name in by_name]
    newest = max((item.generation for item in by_name.values()), default=0)
    changed = [(new, old) for new, old in matched if not _same(replace(new, generation=newest), old)]
    if not missing and len(changed) <= 1 and all(old.generation == newest for _, old in matched):
        update = tuple(_take_over(new, old, newest) for new, old in changed)
        return Actions(delete=obsolete, update=update, generation=newest)
    newest += 1
    return Actions(
        delete=obsolete,
        update=tuple(_take_over(new, old, newest) for new, old in matched),
        create=tuple(replace(item, generation=newest) for item in missing),
        generation=newest,
    )


def _is_ours(item: ResourceSlice, want: tuple[ResourceSlice, ...]) -> bool:
    """Whether it can become one of the wanted: driver, node and pool of a slice cannot be changed."""
    return any(
        (item.name, item.driver, item.node_name, item.pool) == (new.name, new.driver, new.node_name, new.pool)
        for new in want
    )


def _same(new: ResourceSlice, old: ResourceSlice) -> bool:
    return new == replace(old, uid="", resource_version="")


def _take_over(new: ResourceSlice, old: ResourceSlice, generation: int) -> ResourceSlice:
    kept = {device.name: device.taints for device in old.devices}
    devices = tuple(_keep_times(device, kept.get(device.name, ())) for device in new.devices)
    return replace(new, devices=devices, generation=generation, uid=old.uid, resource_version=old.resource_version)


def _keep_times(device: Device, stored: tuple[Taint, ...]) -> Device:
    """The device with the time at which the server first saw each of its taints; an update would start it anew."""
    if not device.taints:
        return device
    taints = tuple(next((old for old in stored if old == taint), taint) for taint in device.taints)
    return replace(device, taints=taints)

"""`list_devices(inventory)`: what can be handed out, and what is withheld and why."""

from dataclasses import replace

from amdgpu_dra.api.reasons import Reason
from amdgpu_dra.core.devices.candidates import Candidates, Found
from amdgpu_dra.core.devices.device import STATIC, Layout, Listing, NodeDevice
from amdgpu_dra.core.devices.exist import judge, withhold
from amdgpu_dra.core.devices.names import AMD_NAMES, amd_name
from amdgpu_dra.core.devices.order import order_key
from amdgpu_dra.core.gpu import Gpu, Inventory


def list_devices(inventory: Inventory, layout: Layout = STATIC) -> Listing:
    """Every partition of every GPU, judged on its own: those of now, or in a dynamic layout those of every mode.

    A GPU whose mode cannot be written, or whose other modes cannot be planned, has those of now in both layouts.
    """
    found, candidates = Found(), Candidates(inventory, layout)
    for gpu in inventory.gpus:
        if not candidates.add(gpu, found):
            _add_existing(inventory, gpu, found)
    found.devices.sort(key=order_key(inventory.gpus, from_both_ends=layout.dynamic))
    if layout.names == AMD_NAMES:
        found.devices = [replace(device, alias=amd_name(device.partition)) for device in found.devices]
    return Listing(devices=tuple(found.devices), withheld=tuple(found.withheld), counter_sets=tuple(found.counter_sets))


def _add_existing(inventory: Inventory, gpu: Gpu, found: Found) -> None:
    if not gpu.partitions:
        found.withheld.append(withhold(gpu, None, Reason.NO_KFD_NODE, "amdgpu drives it and KFD does not show it"))
    for partition in gpu.partitions:
        item = judge(inventory, gpu, partition)
        if isinstance(item, NodeDevice):
            found.devices.append(item)
        else:
            found.withheld.append(item)

"""Renders PCI folders, DRM devices and the module of amdgpu."""

from collections.abc import Iterator

from amdgpu_dra.core.fakegpu.families import FAMILIES
from amdgpu_dra.core.fakegpu.fleet import FleetSpec, GpuSpec
from amdgpu_dra.core.fakegpu.layout import DRM_MAJOR, Drm, History
from amdgpu_dra.core.fakegpu.memory import vram_of
from amdgpu_dra.core.gpu import paths
from amdgpu_dra.core.models import MODELS, Model

type File = tuple[str, str]


def folder_of(gpu: GpuSpec) -> str:
    """The real PCI folder: under its root and one bridge."""
    root = gpu.pcie_root
    return f"devices/{root}/{root.removeprefix('pci')}:01.1/{gpu.address}"


def render_pci(fleet: FleetSpec, history: History) -> Iterator[File]:
    """Files of every GPU, its DRM devices, and the module."""
    for gpu in fleet.gpus:
        yield from _gpu_files(fleet, gpu, MODELS[gpu.model])
        for device in history.drm[gpu.address]:
            if device is not None:
                yield from _drm_files(gpu, device)
    if fleet.driver_version is not None:
        yield "module/amdgpu/version", f"{fleet.driver_version}\n"
    yield "module/amdgpu/refcnt", "0\n"


def render_links(fleet: FleetSpec, history: History) -> Iterator[tuple[str, str]]:
    """Symbolic links: path and target, relative so that the tree can stand anywhere."""
    yield "class/kfd/kfd", "../../devices/virtual/kfd/kfd"
    yield "module/amdgpu/drivers/pci:amdgpu", "../../../bus/pci/drivers/amdgpu"
    for gpu in fleet.gpus:
        folder = folder_of(gpu)
        yield f"bus/pci/devices/{gpu.address}", f"../../../{folder}"
        yield f"bus/pci/drivers/amdgpu/{gpu.address}", f"../../../../{folder}"
        depth = folder.count("/") + 1
        yield f"{folder}/driver", "../" * depth + "bus/pci/drivers/amdgpu"
        for device in history.drm[gpu.address]:
            if device is not None:
                for name in (f"card{device.card}", f"renderD{device.render}"):
                    yield f"class/drm/{name}", f"../../{_drm_folder(gpu, device)}/{name}"


def _gpu_files(fleet: FleetSpec, gpu: GpuSpec, model: Model) -> Iterator[File]:
    folder = folder_of(gpu)
    family = FAMILIES[model.gfx]
    device = model.vf_id if gpu.virtual else model.device_id
    texts = {
        "vendor": "0x1002",
        "device": f"{device:#06x}",
        "subsystem_vendor": "0x1002",
        "subsystem_device": f"{model.device_id:#06x}",
        "class": f"{family.pci_class:#08x}",
        "revision": f"{model.revision:#04x}",
        "numa_node": str(gpu.numa),
        "current_link_speed": family.pcie_speed,
        "current_link_width": "16",
        "mem_info_vram_total": str(vram_of(gpu)),
    }
    if family.has_unique_id:
        texts["unique_id"] = f"{gpu.unique_id:016x}"
    if family.has_fru and not gpu.virtual:
        texts["product_name"] = model.product
    if gpu.compute is not None:
        texts["current_compute_partition"] = gpu.compute
        texts["current_memory_partition"] = gpu.memory or "NPS1"
        if not gpu.virtual:
            texts |= _available(fleet, gpu, model)
    for name, text in texts.items():
        yield f"{folder}/{name}", f"{text}\n"


def _available(fleet: FleetSpec, gpu: GpuSpec, model: Model) -> dict[str, str]:
    """Before 7.x the kernel lists every compute mode of the model, and no memory modes."""
    if fleet.kernel != "7.x":
        return {"available_compute_partition": ", ".join(model.legal["NPS1"])}
    return {
        "available_compute_partition": ", ".join(model.legal[gpu.memory or "NPS1"]),
        "available_memory_partition": ", ".join(model.legal),
        "compute_partition_mem_alloc_mode": "CAPPING",
        paths.PER_GPU_CONFIG: ", ".join(model.legal["NPS1"]),
    }


def writable_files(fleet: FleetSpec) -> Iterator[str]:
    """The mode files with a write bit: none of a virtual function; the memory mode's from 7.x on, if it has several."""
    for gpu in fleet.gpus:
        if gpu.compute is not None and not gpu.virtual:
            yield f"{folder_of(gpu)}/{paths.COMPUTE_MODE}"
            if fleet.kernel == "7.x" and len(MODELS[gpu.model].legal) > 1:
                yield f"{folder_of(gpu)}/{paths.MEMORY_MODE}"


def _drm_folder(gpu: GpuSpec, device: Drm) -> str:
    parent = folder_of(gpu) if device.owner == str(gpu.address) else f"devices/platform/{device.owner}"
    return f"{parent}/drm"


def _drm_files(gpu: GpuSpec, device: Drm) -> Iterator[File]:
    folder = _drm_folder(gpu, device)
    yield f"{folder}/card{device.card}/dev", f"{DRM_MAJOR}:{device.card}\n"
    yield f"{folder}/renderD{device.render}/dev", f"{DRM_MAJOR}:{device.render}\n"
    if folder.startswith("devices/platform/"):
        yield f"{folder.removesuffix('/drm')}/driver_override", "(null)\n"
        yield f"{folder.removesuffix('/drm')}/modalias", f"platform:{device.owner}\n"

"""Every path of sysfs that we read or render, below the sysfs root; `*` stands for one name.

Sources: in drivers/gpu/drm/amd amdkfd/kfd_topology.c, amdgpu/amdgpu_device.c and amdgpu_xcp.c; drivers/pci/pci-sysfs.c.
"""

KFD = "class/kfd/kfd"
KFD_DEV = f"{KFD}/dev"
GENERATION = f"{KFD}/topology/generation_id"
NODES = f"{KFD}/topology/nodes"
# A folder for each process that has /dev/kfd open, with a file for each GPU on which it has memory.
PROCESSES = f"{KFD}/proc"
PROCESS_MEMORY = "vram_"
DRM = "class/drm"
PCI_DEVICES = "bus/pci/devices"
AMDGPU_DRIVER = "bus/pci/drivers/amdgpu"
# Name of the platform device that owns the DRM nodes of a partition: amdgpu_xcp_3, amdgpu_xcp.3 on older kernels.
XCP = "amdgpu_xcp"
MODULE_VERSION = "module/amdgpu/version"

# Files of a GPU's PCI folder that set its modes where their file mode has a write bit.
COMPUTE_MODE = "current_compute_partition"
MEMORY_MODE = "current_memory_partition"
MODE_FILES = (COMPUTE_MODE, MEMORY_MODE)
# Stands in a folder that kernels have whose modes can be switched while other GPUs work.
PER_GPU_CONFIG = "compute_partition_config/supported_xcp_configs"

# Files of a GPU's PCI folder.
PCI_FILES = (
    *MODE_FILES,
    PER_GPU_CONFIG,
    "available_compute_partition",
    "available_memory_partition",
    "class",
    "compute_partition_mem_alloc_mode",
    "current_link_speed",
    "current_link_width",
    "device",
    "mem_info_vram_total",
    "numa_node",
    "product_name",
    "revision",
    "unique_id",
    "vendor",
)

# Files of a KFD node. The first link of a GPU leads to its CPU; the others are many (71 for each of 64 partitions) and
# are read only on demand.
NODE_FILES = ("gpu_id", "properties", "mem_banks/*/properties", "io_links/0/properties")
NODE_LINKS = ("io_links/*/properties", "p2p_links/*/properties")

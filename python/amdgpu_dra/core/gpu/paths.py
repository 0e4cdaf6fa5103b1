"""Every path of sysfs that we read or render, below the sysfs root; `*` stands for one name.

Sources: in drivers/gpu/drm/amd amdkfd/kfd_topology.c, amdgpu/amdgpu_device.c and amdgpu_xcp.c; drivers/pci/pci-sysfs.c.
"""

KFD = "class/kfd/kfd"
KFD_DEV = f"{KFD}/dev"
GENERATION = f"{KFD}/topology/generation_id"
NODES = f"{KFD}/topology/nodes"
DRM = "class/drm"
PCI_DEVICES = "bus/pci/devices"
AMDGPU_DRIVER = "bus/pci/drivers/amdgpu"
MODULE_VERSION = "module/amdgpu/version"

# Files of a GPU's PCI folder.
PCI_FILES = (
    "available_compute_partition",
    "available_memory_partition",
    "class",
    "current_compute_partition",
    "current_link_speed",
    "current_link_width",
    "current_memory_partition",
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

"""`parse(tree) -> Inventory`: KFD is the spine, PCI and DRM add to it."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from amdgpu_dra.core.gpu import paths
from amdgpu_dra.core.gpu.drm import DrmNodes, parse_drm
from amdgpu_dra.core.gpu.fields import Reader, decimal, device_number
from amdgpu_dra.core.gpu.inventory import DeviceNode, Gpu, Inventory, Link, Partition, PciAddress
from amdgpu_dra.core.gpu.kfd import KfdNode, parse_kfd
from amdgpu_dra.core.gpu.pci import PciFacts, parse_pci
from amdgpu_dra.core.gpu.tree import TreeText

# The link of an APU to the CPU on its own package (kfd_crat.c, KFD_CRAT_INTRA_SOCKET_WEIGHT).
_ON_PACKAGE = ("xgmi", 13)


def parse(tree: TreeText) -> Inventory:
    """The inventory of a tree. Never raises: what cannot be used becomes a problem and costs what it concerns.

    KFD gives partition -> render minor and location -> GPU; PCI, DRM and the `amdgpu_xcp` folders add the rest. The
    result does not depend on the order of folders.
    """
    reader = Reader(tree)
    pci = parse_pci(reader)
    drm = parse_drm(reader)
    nodes, cpus = parse_kfd(reader)
    groups = _group(nodes, pci)
    indices = {node.number: (address, index) for address, group in groups.items() for index, node in group.items()}
    gpus = [
        _gpu(reader, address, groups.get(address, {}), pci.get(address), drm) for address in sorted({*groups, *pci})
    ]
    linked = tuple(_with_links(gpu, groups.get(gpu.address, {}), indices, cpus) for gpu in gpus)
    return Inventory(
        gpus=linked,
        kfd=_kfd_device(reader),
        driver_version=reader.find_text(paths.MODULE_VERSION, "driverVersion"),
        driver_loaded=bool(pci or nodes) or paths.MODULE_VERSION in tree.files,
        generation=reader.find(paths.GENERATION, "noticing foreign mode changes", decimal),
        xcp_nodes=sum(owner.startswith(paths.XCP) for owner in drm.owner.values()),
        problems=tuple(reader.problems),
    )


def _kfd_device(reader: Reader) -> DeviceNode | None:
    number = reader.find(paths.KFD_DEV, "every device: /dev/kfd", device_number)
    return None if number is None else DeviceNode(path="kfd", major=number[0], minor=number[1])


def _group(nodes: Iterable[KfdNode], pci: dict[PciAddress, PciFacts]) -> dict[PciAddress, dict[int, KfdNode]]:
    """GPU -> partition index -> node.

    The low bits of a location are the PCI function of a GPU that is one node, and the index of a partition otherwise;
    a function of its own in PCI tells the two apart (virtual functions share bus and device). AMD's out-of-tree driver
    has also put the index into the four highest bits.
    """
    by_slot = defaultdict(list)
    for node in nodes:
        by_slot[node.slot].append(node)
    groups: dict[PciAddress, dict[int, KfdNode]] = defaultdict(dict)
    for slot, members in by_slot.items():
        for node in members:
            own = pci.get(node.address)
            function = own is not None and (node.low_bits > 0 or own.compute_mode in (None, "SPX"))
            alone = len(members) == 1 and own is None and PciAddress(*slot) not in pci
            if function or alone:
                groups[node.address][0] = node
            else:
                groups[PciAddress(*slot)][node.high_bits or node.low_bits] = node
    return groups


def _gpu(reader: Reader, address: PciAddress, group: dict[int, KfdNode], facts: PciFacts | None, drm: DrmNodes) -> Gpu:
    facts = facts or PciFacts()
    if not group:
        reader.note(f"{paths.PCI_DEVICES}/{address}", "is bound to amdgpu and has no node in KFD", f"GPU {address}")
    parts = tuple(_partition(reader, address, index, group[index], drm) for index in sorted(group))
    if facts.vram is not None:
        parts = tuple(_in_host_memory(part, facts.vram) for part in parts)
    hives = {node.properties.get("hive_id", 0) for node in group.values()} - {0, _alone(address)}
    return Gpu(
        address=address,
        vendor_id=facts.vendor_id,
        device_id=facts.device_id or _kfd_device_id(group),
        revision=facts.revision,
        product_name=facts.product_name,
        unique_id=facts.unique_id,
        numa_node=facts.numa_node,
        pcie_root=facts.pcie_root,
        pcie_link_speed=facts.link_speed,
        pcie_link_width=facts.link_width,
        vram=facts.vram,
        hive_id=hives.pop() if len(hives) == 1 else None,
        compute_mode=facts.compute_mode,
        memory_mode=facts.memory_mode,
        compute_modes=facts.compute_modes,
        memory_modes=facts.memory_modes,
        mode_writable=facts.mode_writable,
        per_gpu_config=facts.per_gpu_config,
        memory_alloc_mode=facts.memory_alloc_mode,
        has_pci=facts.found,
        partitions=parts,
    )


def _in_host_memory(part: Partition, vram: int) -> Partition:
    """Marks a partition that may use more than the GPU has: then its memory is the host's (kernel: apu_prefer_gtt)."""
    return replace(part, unified_memory=part.unified_memory or (part.memory or 0) > vram)


def _alone(address: PciAddress) -> int:
    """What KFD writes as the hive of a partitioned GPU that is in none: its bus and devfn (kfd_device.c)."""
    return address.bus << 8 | address.device << 3 | address.function


def _kfd_device_id(group: dict[int, KfdNode]) -> str | None:
    found = {node.properties.get("device_id", 0) for node in group.values()} - {0}
    return f"{found.pop():#06x}" if len(found) == 1 else None


def _partition(reader: Reader, address: PciAddress, index: int, node: KfdNode, drm: DrmNodes) -> Partition:
    facts = node.properties
    minor = facts.get("drm_render_minor", 0)
    render = drm.render.get(minor)
    if render is None and drm.render:
        what = f"partition {index} of GPU {address}"
        reader.note(f"{paths.DRM}/renderD{minor}", "KFD names it and DRM has no such node", what)
    per_cu = facts.get("simd_per_cu", 0)
    return Partition(
        gpu=address,
        index=index,
        memory=node.memory,
        unified_memory=node.unified_memory,
        compute_units=facts["simd_count"] // per_cu if per_cu else None,
        simd_units=facts["simd_count"],
        xccs=facts.get("num_xcc") or None,
        gfx_target=gfx_name(facts.get("gfx_target_version", 0)),
        unique_id=facts.get("unique_id") or None,
        gpu_id=node.gpu_id,
        render=render,
        card=drm.card.get(drm.owner.get(minor, "")),
    )


def gfx_name(version: int) -> str | None:
    """90402 -> `gfx942`: major decimal, minor and stepping hexadecimal (kfd_device.c); None for 0."""
    return f"gfx{version // 10000}{version // 100 % 100:x}{version % 100:x}" if version else None


def _with_links(gpu: Gpu, group: dict[int, KfdNode], indices: dict[int, tuple[PciAddress, int]], cpus: set[int]) -> Gpu:
    """Adds the links of each partition, and the NUMA node that its CPU link names where PCI has none."""
    parts, numa = [], set()
    for part in gpu.partitions:
        links = tuple(
            Link(
                kind=link.kind,
                weight=link.weight,
                direct=link.direct,
                numa_node=link.node_to if link.node_to in cpus else None,
                peer=indices.get(link.node_to),
            )
            for link in group[part.index].links
        )
        host = [link for link in links if link.direct and link.numa_node is not None]
        numa |= {link.numa_node for link in host}
        on_package = any((link.kind, link.weight) == _ON_PACKAGE for link in host)
        parts.append(replace(part, links=links, unified_memory=part.unified_memory or on_package))
    known = gpu.numa_node if gpu.numa_node is not None or len(numa) != 1 else numa.pop()
    return replace(gpu, partitions=tuple(parts), numa_node=known)

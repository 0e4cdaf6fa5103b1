"""KFD's topology: the spine of the inventory. Its node numbers are transient and never leave this room."""

from dataclasses import dataclass

from amdgpu_dra.core.gpu import paths
from amdgpu_dra.core.gpu.fields import Reader, decimal
from amdgpu_dra.core.gpu.inventory import PciAddress

# HSA_MEM_HEAP_TYPE: 0 is system memory (an APU's), 1 and 2 are the frame buffer.
_FRAME_BUFFER = (1, 2)
_LINK_KINDS = {2: "pcie", 11: "xgmi"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RawLink:
    """A link as KFD writes it: its kind and the node that it leads to."""

    kind: str
    weight: int
    direct: bool
    node_to: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KfdNode:
    """A GPU node: one partition, or a whole GPU.

    `slot` is domain, bus and device, which all partitions of a GPU share; `low_bits` is the partition's index or, on a
    GPU that is one node, the PCI function.
    """

    number: int
    properties: dict[str, int]
    gpu_id: int | None
    memory: int | None
    unified_memory: bool
    links: tuple[RawLink, ...]
    slot: tuple[int, int, int]
    low_bits: int
    high_bits: int

    @property
    def address(self) -> PciAddress:
        """The address if `low_bits` is a PCI function."""
        return PciAddress(*self.slot, self.low_bits)


def parse_kfd(reader: Reader) -> tuple[list[KfdNode], set[int]]:
    """GPU nodes by number, and the numbers of CPU nodes. A node without an identity is left out, with a problem."""
    gpus, cpus = [], set()
    numbers = [name for name in reader.tree.children(paths.NODES) if name.isascii() and name.isdigit()]
    for number in sorted(int(name) for name in numbers):
        folder = f"{paths.NODES}/{number}"
        properties = reader.find_properties(f"{folder}/properties", f"the device of KFD node {number}")
        if properties is None:
            continue
        if properties.get("cpu_cores_count", 0) > 0 and not properties.get("simd_count"):
            cpus.add(number)
        elif (node := _gpu_node(reader, number, properties)) is not None:
            gpus.append(node)
    return gpus, cpus


def _gpu_node(reader: Reader, number: int, properties: dict[str, int]) -> KfdNode | None:
    folder = f"{paths.NODES}/{number}"
    location = properties.get("location_id")
    if location is None or not properties.get("simd_count"):
        missing = "location_id" if location is None else "simd_count"
        reader.note(f"{folder}/properties", f"has no {missing}", f"the device of KFD node {number}")
        return None
    gpu_id = reader.find(f"{folder}/gpu_id", f"the device of KFD node {number}", decimal)
    if gpu_id == 0:
        reader.note(f"{folder}/gpu_id", "is 0 for a node with SIMDs", f"the device of KFD node {number}")
        return None
    memory, unified = _memory(reader, folder, number)
    return KfdNode(
        number=number,
        properties=properties,
        gpu_id=gpu_id,
        memory=memory,
        unified_memory=unified,
        links=_links(reader, folder, number),
        slot=(properties.get("domain", 0), location >> 8 & 0xFF, location >> 3 & 0x1F),
        low_bits=location & 0x7,
        high_bits=location >> 28 & 0xF,
    )


def _memory(reader: Reader, folder: str, number: int) -> tuple[int | None, bool]:
    """Bytes of the frame buffer banks; of system memory, marked so, if a GPU has no other bank."""
    banks: dict[bool, int] = {}
    for name in sorted(reader.tree.children(f"{folder}/mem_banks")):
        path = f"{folder}/mem_banks/{name}/properties"
        bank = reader.find_properties(path, f"memory of KFD node {number}") or {}
        heap, size = bank.get("heap_type"), bank.get("size_in_bytes")
        if heap is not None and size:
            banks[heap in _FRAME_BUFFER] = banks.get(heap in _FRAME_BUFFER, 0) + size
    return (banks[True], False) if True in banks else (banks.get(False), False in banks)


def _links(reader: Reader, folder: str, number: int) -> tuple[RawLink, ...]:
    found = []
    for kind in ("io_links", "p2p_links"):
        names = [name for name in reader.tree.children(f"{folder}/{kind}") if name.isascii() and name.isdigit()]
        for name in sorted(names, key=int):
            path = f"{folder}/{kind}/{name}/properties"
            link = reader.find_properties(path, f"a link of KFD node {number}") or {}
            if {"type", "weight", "node_to"} <= link.keys():
                found.append(
                    RawLink(
                        kind=_LINK_KINDS.get(link["type"], str(link["type"])),
                        weight=link["weight"],
                        direct=kind == "io_links",
                        node_to=link["node_to"],
                    )
                )
    return tuple(found)

"""KFD's links between nodes (kfd_crat.c, kfd_topology.c): types, weights and bandwidths."""

from collections.abc import Iterator
from itertools import combinations

from amdgpu_dra.core.fakegpu.fleet import FleetSpec
from amdgpu_dra.core.fakegpu.layout import Share

_PCIE, _XGMI = 2, 11
_CPU_LINK = {"amd": (1, 32), "intel": (5, 21)}
_ON_PACKAGE = 819200
# type, weight, smallest and largest bandwidth in MB/s, flags
_SAME_GPU = (_XGMI, 13, _ON_PACKAGE, _ON_PACKAGE, 1)
_SAME_HIVE_PARTITIONED = (_XGMI, 41, 0, 0, 1)
_NON_COHERENT = 2

# Eight GCDs on four packages: links between those that are joined directly; all others are two hops apart
# (Frontier user guide). The GCDs of a package are 0 and 1, 2 and 3, …
_GCD_LINKS = {(0, 2): 1, (1, 3): 1, (0, 6): 2, (1, 5): 1, (2, 4): 2, (3, 7): 1, (4, 6): 1, (5, 7): 1}
_PACKAGE_LINKS = 4
_MULTI_DIE = ("MI250", "MI250X")

type Row = tuple[int, int, int, int, int, int]
"""The node that a link leads to, then type, weight, smallest and largest bandwidth, flags."""


def cpu_joined(fleet: FleetSpec, share: Share) -> bool:
    """Whether xGMI joins it to its CPU: an APU of several XCCs, or a host that is built so."""
    return (share.model.is_apu and share.model.xccs > 1) or (share.gpu.hive != 0 and fleet.cpu_links == "xgmi")


def gpu_links(fleet: FleetSpec, share: Share, everyone: list[Share]) -> tuple[list[Row], list[Row]]:
    """`io_links` and `p2p_links` of a partition: its CPU, then the GPUs of its hive; far CPUs and others by PCIe."""
    kind, weight, low, high, flags = _own_cpu(fleet, share)
    hops = _hops(share, everyone)
    io: list[Row] = [(share.gpu.numa, kind, weight, low, high, flags)]
    io += [(o.node, *_near(share, o, hops)) for o in everyone if o is not share and _joined(share, o)]
    p2p: list[Row] = [
        (numa, kind, weight + _CPU_LINK[fleet.cpu][1], 0, 0, 1)
        for numa in range(len(fleet.numa))
        if numa != share.gpu.numa
    ]
    p2p += [
        (other.node, _PCIE, 40 + _distance(fleet, share, other), 0, 0, 3)
        for other in everyone
        if not _joined(share, other)
    ]
    return io, p2p


def cpu_links(fleet: FleetSpec, numa: int, everyone: list[Share]) -> tuple[list[Row], list[Row]]:
    """`io_links` and `p2p_links` of a CPU node."""
    kind, distance = _CPU_LINK[fleet.cpu]
    io: list[Row] = [(other, kind, distance, 0, 0, 0) for other in range(len(fleet.numa)) if other != numa]
    p2p: list[Row] = []
    for share in everyone:
        link, weight, low, high, flags = _own_cpu(fleet, share)
        back = flags if link == _XGMI else flags | _NON_COHERENT
        if share.gpu.numa == numa:
            io.append((share.node, link, weight, low, high, back))
        else:
            p2p.append((share.node, link, weight + distance, 0, 0, back))
    return io, p2p


def _own_cpu(fleet: FleetSpec, share: Share) -> tuple[int, int, int, int, int]:
    """The link to the CPU of its NUMA node."""
    if not cpu_joined(fleet, share):
        return (_PCIE, 20, 312, fleet.pcie_bandwidth, 1)
    if share.model.is_apu:
        return _SAME_GPU
    return (_XGMI, 15, share.family.xgmi, share.family.xgmi, 1)


def _joined(one: Share, other: Share) -> bool:
    same_gpu = one.gpu.address == other.gpu.address
    return same_gpu or (one.gpu.hive != 0 and one.gpu.hive == other.gpu.hive)


def _hops(share: Share, everyone: list[Share]) -> dict[frozenset[int], int]:
    """Nodes of two GPUs of its hive -> links between them, 0 where they are two hops apart; empty in a full mesh."""
    if share.model.name not in _MULTI_DIE:
        return {}
    hive = [other.node for other in everyone if _joined(share, other)]
    return {
        frozenset((hive[one], hive[other])): _PACKAGE_LINKS
        if one // 2 == other // 2
        else _GCD_LINKS.get((one, other), 0)
        for one, other in combinations(range(len(hive)), 2)
    }


def _near(one: Share, other: Share, hops: dict[frozenset[int], int]) -> tuple[int, int, int, int, int]:
    if one.gpu.address == other.gpu.address:
        return _SAME_GPU
    if one.count > 1:
        return _SAME_HIVE_PARTITIONED
    links = hops.get(frozenset((one.node, other.node)), 1)
    bandwidth = links * one.family.xgmi
    return (_XGMI, 15 if links else 30, bandwidth, bandwidth, 1)


def _distance(fleet: FleetSpec, one: Share, other: Share) -> int:
    return 0 if one.gpu.numa == other.gpu.numa else _CPU_LINK[fleet.cpu][1]


def link_text(node_from: int, row: Row) -> str:
    """A link's `properties`."""
    node_to, kind, weight, low, high, flags = row
    return (
        f"type {kind}\nversion_major 0\nversion_minor 0\nnode_from {node_from}\nnode_to {node_to}\nweight {weight}\n"
        f"min_latency 0\nmax_latency 0\nmin_bandwidth {low}\nmax_bandwidth {high}\n"
        f"recommended_transfer_size 0\nflags {flags}\n"
    )


def rows_of(links: tuple[list[Row], list[Row]]) -> Iterator[tuple[str, int, Row]]:
    """Folder, number and row of each link."""
    for folder, rows in zip(("io_links", "p2p_links"), links, strict=True):
        for number, row in enumerate(rows):
            yield folder, number, row

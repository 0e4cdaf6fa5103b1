"""KFD's links between nodes (kfd_crat.c, kfd_topology.c): types, weights and bandwidths."""

from collections.abc import Iterator

from amdgpu_dra.core.fakegpu.fleet import FleetSpec
from amdgpu_dra.core.fakegpu.layout import Share

_PCIE, _XGMI = 2, 11
_CPU_LINK = {"amd": (1, 32), "intel": (5, 21)}
# type, weight, smallest and largest bandwidth in MB/s, flags
_SAME_GPU = (_XGMI, 13, 819200, 819200, 1)
_SAME_HIVE_PARTITIONED = (_XGMI, 41, 0, 0, 1)

type Row = tuple[int, int, int, int, int, int]
"""The node that a link leads to, then type, weight, smallest and largest bandwidth, flags."""


def gpu_links(fleet: FleetSpec, share: Share, everyone: list[Share]) -> tuple[list[Row], list[Row]]:
    """`io_links` and `p2p_links` of a partition: its CPU, then the GPUs of its hive; far CPUs and others by PCIe."""
    io: list[Row] = [(share.gpu.numa, _PCIE, 20, 312, fleet.pcie_bandwidth, 1)]
    io += [(other.node, *_near(share, other)) for other in everyone if other is not share and _joined(share, other)]
    p2p: list[Row] = [
        (numa, _PCIE, 20 + _CPU_LINK[fleet.cpu][1], 0, 0, 1)
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
    io += [(s.node, _PCIE, 20, 312, fleet.pcie_bandwidth, 3) for s in everyone if s.gpu.numa == numa]
    p2p: list[Row] = [(s.node, _PCIE, 20 + distance, 0, 0, 3) for s in everyone if s.gpu.numa != numa]
    return io, p2p


def _joined(one: Share, other: Share) -> bool:
    same_gpu = one.gpu.address == other.gpu.address
    return same_gpu or (one.gpu.hive != 0 and one.gpu.hive == other.gpu.hive)


def _near(one: Share, other: Share) -> tuple[int, int, int, int, int]:
    if one.gpu.address == other.gpu.address:
        return _SAME_GPU
    if one.count > 1:
        return _SAME_HIVE_PARTITIONED
    # A link of 16 lanes at 32 GT/s, or 25 GT/s before MI300.
    bandwidth = 50000 if one.model.xccs == 1 else 64000
    return (_XGMI, 15, bandwidth, bandwidth, 1)


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

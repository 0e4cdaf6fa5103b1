"""Slices -> the pools that a node can be served from, in the order in which they are searched."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from amdgpu_dra.core.allocate.errors import AllocationError
from amdgpu_dra.core.allocate.features import Features, Variant
from amdgpu_dra.core.allocate.model import Device, Node, Slice
from amdgpu_dra.core.allocate.nodes import node_matches

type PoolId = tuple[str, str]
"""Driver and pool name."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Pool:
    """A pool as one node sees it.

    Attributes:
        devices: those the node can reach, in search order; none in a pool that is incomplete or invalid.
        others: the pool's devices for other nodes, which may hold counters.
        counters: counter set -> counter -> its value in nano units.
        incomplete: slices of this generation are missing.
        invalid: why it contradicts itself; empty if it does not.
    """

    id: PoolId
    devices: tuple[Device, ...] = ()
    others: tuple[Device, ...] = ()
    counters: Mapping[str, Mapping[str, int]]
    incomplete: bool = False
    invalid: str = ""
    binding: bool = False

    def __str__(self) -> str:
        return "/".join(self.id)


class Inventory:
    """Slices, indexed by node and by pool.

    It keeps what it once found out about pools; slices never change, so that is never out of date.
    """

    def __init__(self, slices: Iterable[Slice]) -> None:
        self._slices = tuple(slices)
        self._by_node: dict[str, list[Slice]] = {}
        self._shared: list[Slice] = []
        self._by_pool: dict[PoolId, list[Slice]] = {}
        self._built: dict[tuple[object, ...], Pool | None] = {}
        for item in self._slices:
            rows = self._by_node.setdefault(item.placement.node_name, []) if item.placement.node_name else self._shared
            rows.append(item)
            self._by_pool.setdefault((item.driver, item.pool), []).append(item)

    def gather(self, node: Node, features: Features, variant: Variant) -> tuple[Pool, ...]:
        """The pools of a node: those without binding conditions first, each group by driver and name.

        Raises:
            AllocationError: a slice's node selector is malformed.
        """
        if variant.counters_everywhere:
            candidates: Sequence[Slice] = self._slices
        else:
            candidates = self._by_node.get(node.name, []) + self._shared
        collected: dict[PoolId, list[Slice]] = {}
        for item in candidates:
            if _is_known(item, features) and _is_relevant(item, node, variant):
                _collect(collected, item)
        pools = [self._pool(pool, slices, features, variant) for pool, slices in collected.items()]
        return tuple(sorted((pool for pool in pools if pool is not None), key=_search_order))

    def _pool(self, pool: PoolId, slices: list[Slice], features: Features, variant: Variant) -> Pool | None:
        """The pool of these slices; None if there is a newer generation that has nothing for this node."""
        flags = (features.compatibility_groups, features.partitionable_devices, variant.ordered)
        key = (flags, *slices)
        if key not in self._built:
            self._built[key] = self._build(pool, slices, features, variant)
        return self._built[key]

    def _build(self, pool: PoolId, slices: list[Slice], features: Features, variant: Variant) -> Pool | None:
        rest: list[Slice] = []
        wanted, generation = slices[0].slice_count, slices[0].generation
        if len(slices) != wanted:
            every = self._by_pool[pool]
            if any(item.generation > generation for item in every):
                return None
            same = [item for item in every if item.generation == generation]
            if not features.compatibility_groups:
                same = [item for item in same if not item.uses_groups]
            if len(same) != wanted:
                return Pool(id=pool, counters={}, incomplete=True)
            names = {item.name for item in slices}
            rest = [item for item in same if item.name not in names] if len(slices) < len(same) else []
        if variant.ordered:
            slices = sorted(slices, key=lambda item: item.name.encode())
        return _assemble(pool, slices, rest, partitions=features.partitionable_devices)


def _search_order(pool: Pool) -> tuple[bool, bytes, bytes]:
    return pool.binding, pool.id[0].encode(), pool.id[1].encode()


def _is_known(item: Slice, features: Features) -> bool:
    if not features.partitionable_devices and (item.by_device is not None or item.counters):
        return False
    return features.compatibility_groups or not item.uses_groups


def _is_relevant(item: Slice, node: Node, variant: Variant) -> bool:
    if variant.counters_everywhere and item.counters:
        return True
    placement = item.placement
    try:
        if placement.node_name or placement.all_nodes or placement.selector is not None:
            return node_matches(node, placement)
        return item.by_device is True and any(node_matches(node, device.placement) for device in item.devices)
    except AllocationError as error:
        text = f"gather pool information: failed to perform node selection for slice {item.name}: {error}"
        raise AllocationError(text) from None


def _collect(collected: dict[PoolId, list[Slice]], item: Slice) -> None:
    """Keeps the slices of the newest generation of each pool."""
    pool = (item.driver, item.pool)
    rows = collected.get(pool)
    if rows is None or item.generation > rows[0].generation:
        collected[pool] = [item]
    elif item.generation == rows[0].generation:
        rows.append(item)


def _assemble(pool: PoolId, slices: Sequence[Slice], rest: Sequence[Slice], *, partitions: bool) -> Pool:
    counted = [item for item in [*slices, *rest] if partitions and item.counters]
    reached = [item for item in slices if not (partitions and item.counters)]
    others = [item for item in rest if not (partitions and item.counters)]
    devices = tuple(device for item in reached for device in item.devices)
    elsewhere = tuple(device for item in others for device in item.devices)
    sets: dict[str, Mapping[str, int]] = {}
    problem = _twice(reached)
    if partitions and not problem:
        problem = _gather_counters(counted, sets) or _unknown_counter(sets, (*devices, *elsewhere))
    if problem:
        return Pool(id=pool, counters={}, invalid=problem)
    return Pool(
        id=pool,
        devices=devices,
        others=elsewhere,
        counters=sets,
        binding=any(item.has_binding for item in reached),  # of no weight where the order is not kept
    )


def _twice(slices: Sequence[Slice]) -> str:
    for item in slices:
        if item.twice is not None and len(slices) == 1:
            return f"duplicate device name {item.twice}"
    if len(slices) == 1:
        return ""
    seen: set[str] = set()
    for item in slices:
        for device in item.devices:
            if device.id.device in seen:
                return f"duplicate device name {device.id.device}"
            seen.add(device.id.device)
    return ""


def _gather_counters(slices: Iterable[Slice], sets: dict[str, Mapping[str, int]]) -> str:
    for item in slices:
        for name, counters in item.counters:
            if name in sets:
                return f"duplicate counter set name {name}"
            sets[name] = counters
    return ""


def _unknown_counter(sets: Mapping[str, Mapping[str, int]], devices: Iterable[Device]) -> str:
    for device in devices:
        for name, _ in device.groups:
            if name not in sets:
                return f"counter set {name} not found"
        for (name, counter), _ in device.takes:
            if counter not in sets[name]:
                return f"counter {counter} not found in counter set {name}"
    return ""

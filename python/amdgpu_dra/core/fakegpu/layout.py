"""Who gets which number: DRM minors and KFD nodes. The numbering of the fake node stands here."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count

from amdgpu_dra.core.fakegpu.families import FAMILIES, Family
from amdgpu_dra.core.fakegpu.fleet import FleetSpec, GpuSpec
from amdgpu_dra.core.fakegpu.memory import memory_of
from amdgpu_dra.core.gpu import PciAddress
from amdgpu_dra.core.models import MODELS, Model

DRM_MAJOR = 226
FIRST_RENDER = 128
# A multi-XCC GPU registers a DRM device for each of eight possible partitions (MAX_XCP), whatever its mode.
XCPS = 8
# The kernel's legacy minors: card0 … card63. What comes after them gets no DRM node, or on newer kernels numbers from
# the extended range, which cards and render nodes share.
LEGACY_CARDS = 64
_EXTENDED = 192


@dataclass(frozen=True, slots=True, kw_only=True)
class Drm:
    """The DRM device of one possible partition: its owner's folder name and numbers, or None without a node."""

    owner: str
    card: int
    render: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One partition as KFD shows it."""

    gpu: GpuSpec
    model: Model
    index: int
    count: int
    node: int
    memory: int
    drm: Drm
    simd_id_base: int

    @property
    def xccs(self) -> int:
        """XCCs of this partition."""
        return self.model.xccs // self.count

    @property
    def family(self) -> Family:
        """What KFD shows of every GPU of this target."""
        return FAMILIES[self.model.gfx]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What the kernel has done since the driver was loaded, as far as numbers depend on it.

    Attributes:
        nodes: GPUs that have KFD nodes, in the order in which those were made, each with the simd_id_base of its first.
        base: simd_id_base of the next node; never given out twice.
        generation: rises by one with each node that comes or goes.
        drm: GPU -> its DRM devices by partition index, None where the minors had run out; given at probe, then fixed.
    """

    nodes: tuple[tuple[PciAddress, int], ...] = ()
    base: int = 2147487744
    generation: int = 1
    drm: Mapping[PciAddress, tuple[Drm | None, ...]]

    def with_nodes(self, gpu: GpuSpec) -> "History":
        """Makes the KFD nodes of a GPU in its mode, after all others. It has DRM devices and no node."""
        made = _visible(gpu, self)
        model = MODELS[gpu.model]
        return replace(
            self,
            nodes=(*self.nodes, (gpu.address, self.base)) if made else self.nodes,
            base=self.base + made * _step(model),
            generation=self.generation + made,
        )

    def without_nodes(self, gpu: GpuSpec) -> "History":
        """Takes a GPU's KFD nodes away; those behind get lower numbers. It is still in the mode they were made in."""
        left = tuple(entry for entry in self.nodes if entry[0] != gpu.address)
        gone = _visible(gpu, self) if left != self.nodes else 0
        return replace(self, nodes=left, generation=self.generation + gone)

    def with_drm(self, fleet: FleetSpec, gpu: GpuSpec) -> "History":
        """Gives a GPU its DRM devices, lowest free numbers first: one for each possible partition if it has XCCs."""
        taken = [device for devices in self.drm.values() for device in devices if device is not None]
        first = int(fleet.board_vga) + fleet.other_cards
        cards = _free({device.card for device in taken}, first)
        renders = _free({device.render for device in taken}, FIRST_RENDER + fleet.other_cards)
        extended = _free({number for device in taken for number in (device.card, device.render)}, _EXTENDED)
        owners = {device.owner for device in taken}
        dot = "." if fleet.kernel == "6.8" else "_"
        xcps = (name for number in count() if (name := f"amdgpu_xcp{dot}{number}") not in owners)
        made: list[Drm | None] = []
        for index in range(XCPS if MODELS[gpu.model].xccs > 1 else 1):
            if (card := next(cards)) < LEGACY_CARDS:
                render = next(renders)
            elif fleet.kernel == "7.x":
                # The render node is made first.
                render, card = next(extended), next(extended)
            else:
                made.append(None)
                continue
            made.append(Drm(owner=str(gpu.address) if index == 0 else next(xcps), card=card, render=render))
        return replace(self, drm={**self.drm, gpu.address: tuple(made)})

    def without_drm(self, gpu: GpuSpec) -> "History":
        """Frees the DRM devices of a GPU."""
        return replace(self, drm={address: made for address, made in self.drm.items() if address != gpu.address})


def _free(taken: set[int], first: int) -> Iterator[int]:
    return (number for number in count(first) if number not in taken)


def _visible(gpu: GpuSpec, history: History) -> int:
    """How many partitions of a GPU KFD shows: one without a DRM node is not shown."""
    return len(
        [own for own in history.drm[gpu.address][: MODELS[gpu.model].partitions(gpu.compute)] if own is not None]
    )


def _step(model: Model) -> int:
    """How far apart the simd_id_base of two nodes are: the compute units of one XCC."""
    return FAMILIES[model.gfx].arrays * FAMILIES[model.gfx].cu_per_array


def probe(fleet: FleetSpec) -> History:
    """The history of a driver that was just loaded: GPUs in the order of the fleet."""
    history = History(drm={})
    for gpu in fleet.gpus:
        history = history.with_drm(fleet, gpu).with_nodes(gpu)
    return history


def shares(fleet: FleetSpec, history: History) -> Iterator[Share]:
    """Every partition that KFD shows, in the order of its nodes."""
    gpus = {gpu.address: gpu for gpu in fleet.gpus}
    node = len(fleet.numa)
    for address, base in history.nodes:
        gpu = gpus[address]
        model = MODELS[gpu.model]
        parts = model.partitions(gpu.compute)
        shown = [(index, own) for index, own in enumerate(history.drm[address][:parts]) if own is not None]
        for step, (index, own) in enumerate(shown):
            yield Share(
                gpu=gpu,
                model=model,
                index=index,
                count=parts,
                node=node + step,
                memory=memory_of(fleet, gpu, parts, index),
                drm=own,
                simd_id_base=base + step * _step(model),
            )
        node += len(shown)

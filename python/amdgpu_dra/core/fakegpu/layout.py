"""Who gets which number: DRM minors and KFD nodes. The numbering of the fake node stands here."""

from collections.abc import Iterator
from dataclasses import dataclass

from amdgpu_dra.core.fakegpu.families import FAMILIES, Family
from amdgpu_dra.core.fakegpu.fleet import FleetSpec, GpuSpec
from amdgpu_dra.core.fakegpu.memory import memory_of
from amdgpu_dra.core.models import MODELS, Model

DRM_MAJOR = 226
FIRST_RENDER = 128
# A multi-XCC GPU registers a DRM device for each of eight possible partitions (MAX_XCP), whatever its mode.
XCPS = 8
# The kernel's legacy minors: card0 … card63. What comes after them gets no DRM node.
LEGACY_CARDS = 64


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


def drm_devices(fleet: FleetSpec) -> dict[int, list[Drm | None]]:
    """Position of a GPU -> its DRM devices by partition index; None where the minors ran out."""
    card = int(fleet.board_vga) + fleet.other_cards
    render = FIRST_RENDER + fleet.other_cards
    xcp = 0
    dot = "." if fleet.kernel == "6.8" else "_"
    found: dict[int, list[Drm | None]] = {}
    for position, gpu in enumerate(fleet.gpus):
        found[position] = []
        for index in range(XCPS if MODELS[gpu.model].xccs > 1 else 1):
            owner = str(gpu.address) if index == 0 else f"amdgpu_xcp{dot}{xcp}"
            if card < LEGACY_CARDS:
                found[position].append(Drm(owner=owner, card=card, render=render))
                card, render, xcp = card + 1, render + 1, xcp + (index > 0)
            else:
                found[position].append(None)
    return found


def shares(fleet: FleetSpec) -> Iterator[Share]:
    """Every partition that KFD shows, in the order of its nodes. One without a DRM node is not shown."""
    drm = drm_devices(fleet)
    node, base = len(fleet.numa), 2147487744
    for position, gpu in enumerate(fleet.gpus):
        model = MODELS[gpu.model]
        count = model.partitions(gpu.compute)
        for index in range(count):
            own = drm[position][index]
            if own is None:
                continue
            yield Share(
                gpu=gpu,
                model=model,
                index=index,
                count=count,
                node=node,
                memory=memory_of(fleet, gpu, count, index),
                drm=own,
                simd_id_base=base,
            )
            node += 1
            base += FAMILIES[model.gfx].arrays * FAMILIES[model.gfx].cu_per_array

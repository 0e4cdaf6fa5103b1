"""Renders cards that amdgpu does not drive: they share PCI and DRM with our GPUs, and nothing of theirs is ours."""

from collections.abc import Iterator

from amdgpu_dra.core.fakegpu.fleet import FleetSpec, OtherCard
from amdgpu_dra.core.fakegpu.layout import DRM_MAJOR, FIRST_RENDER

type File = tuple[str, str]

# A connector is a folder beside the card's node in class/drm.
_CONNECTOR = "DP-1"


def render_others(fleet: FleetSpec) -> Iterator[File]:
    """Files of every such card, its DRM nodes and its driver's module."""
    for card in fleet.others:
        folder = _folder(card)
        yield f"{folder}/vendor", f"{card.vendor:#06x}\n"
        yield f"{folder}/device", f"{card.device:#06x}\n"
        yield f"{folder}/class", "0x030000\n"
        yield f"{folder}/numa_node", f"{card.numa}\n"
        if card.version is not None:
            yield f"module/{card.driver}/version", f"{card.version}\n"
    for name, minor, folder in _nodes(fleet):
        yield f"{folder}/{name}/dev", f"{DRM_MAJOR}:{minor}\n"


def render_other_links(fleet: FleetSpec) -> Iterator[tuple[str, str]]:
    """Symbolic links: path and target."""
    for card in fleet.others:
        folder = _folder(card)
        yield f"bus/pci/devices/{card.address}", f"../../../{folder}"
        yield f"bus/pci/drivers/{card.driver}/{card.address}", f"../../../../{folder}"
        yield f"{folder}/driver", "../" * (folder.count("/") + 1) + f"bus/pci/drivers/{card.driver}"
        yield f"bus/pci/drivers/{card.driver}/module", f"../../../../module/{card.driver}"
    for name, _, folder in _nodes(fleet):
        yield f"class/drm/{name}", f"../../{folder}/{name}"
        if name.startswith("card"):
            yield f"class/drm/{name}-{_CONNECTOR}", f"../../{folder}/{name}/{name}-{_CONNECTOR}"


def _folder(card: OtherCard) -> str:
    return f"devices/{card.pcie_root}/{card.address}"


def _nodes(fleet: FleetSpec) -> Iterator[tuple[str, int, str]]:
    """Name, minor and folder of each DRM node; cards are numbered from 0, or from 1 after the board's own."""
    for number, card in enumerate(card for card in fleet.others if card.drm):
        first = number + int(fleet.board_vga)
        yield f"card{first}", first, f"{_folder(card)}/drm"
        yield f"renderD{FIRST_RENDER + number}", FIRST_RENDER + number, f"{_folder(card)}/drm"

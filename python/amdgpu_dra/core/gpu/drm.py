"""DRM nodes: which device owns a card or render node, and its numbers."""

import re
from dataclasses import dataclass

from amdgpu_dra.core.gpu import paths
from amdgpu_dra.core.gpu.fields import Reader, device_number
from amdgpu_dra.core.gpu.inventory import DeviceNode

_NAME = re.compile(r"(card|renderD)(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class DrmNodes:
    """Render nodes by minor, and for each owner its card node.

    An owner is the folder of a device: a PCI address, or `amdgpu_xcp_3` (`amdgpu_xcp.3` on older kernels).
    """

    render: dict[int, DeviceNode]
    owner: dict[int, str]
    card: dict[str, DeviceNode]


def parse_drm(reader: Reader) -> DrmNodes:
    """Reads `class/drm`. A node whose link or number cannot be read is left out, with a problem."""
    nodes = DrmNodes(render={}, owner={}, card={})
    for name in sorted(reader.tree.children(paths.DRM)):
        match = _NAME.fullmatch(name)
        if match is None:
            continue
        path = f"{paths.DRM}/{name}"
        number = reader.find(f"{path}/dev", name, device_number)
        owner = _owner(reader.tree.find_target(path))
        if number is None:
            reader.note(f"{path}/dev", "expected a device number such as 226:128, found none", name)
            continue
        node = DeviceNode(path=f"dri/{name}", major=number[0], minor=number[1])
        if match[1] == "renderD":
            nodes.render[int(match[2])] = node
            if owner is not None:
                nodes.owner[int(match[2])] = owner
        elif owner is not None:
            nodes.card[owner] = node
    return nodes


def _owner(target: str | None) -> str | None:
    """`devices/…/0000:05:00.0/drm/renderD128` -> `0000:05:00.0`."""
    parts = (target or "").split("/")
    return parts[-3] if len(parts) >= 3 and parts[-2] == "drm" else None  # noqa: PLR2004

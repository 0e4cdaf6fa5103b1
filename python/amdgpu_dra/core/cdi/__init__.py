"""The CDI specification of a claim: what the container runtime injects (CDI 0.5.0).

Knows the form of the document. Refuses to know where it is kept, and whether the nodes exist.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from amdgpu_dra.core.gpu import DeviceNode

__all__ = ["KIND", "CdiDevice", "build_spec", "cdi_id", "encode_spec", "spec_file_name"]

KIND = "k8s.gpu.amd.com/gpu"
# deviceNodes[].hostPath and a device name that may begin with a digit (a claim's UID may) need this one, and no more.
_VERSION = "0.5.0"
# Containers that do not run as root must be able to open their GPU; which GPU they may open is the device cgroup's
# matter, not the mode's.
_MODE = 0o666


@dataclass(frozen=True, slots=True, kw_only=True)
class CdiDevice:
    """A device of the document: name within the claim, device nodes, and variables for the container."""

    name: str
    nodes: tuple[DeviceNode, ...]
    env: Mapping[str, str]


def cdi_id(device: str) -> str:
    """The qualified name that the kubelet hands to the runtime."""
    return f"{KIND}={device}"


def spec_file_name(uid: str) -> str:
    """The file of a claim's document; `uid` is a claim's UID."""
    return f"{KIND.replace('/', '-')}_{uid}.json"


def build_spec(devices: Iterable[CdiDevice], *, dev_root: str) -> dict[str, Any]:
    """The document. Nodes appear below `/dev` in the container, wherever `dev_root` has them on the host."""
    return {
        "cdiVersion": _VERSION,
        "kind": KIND,
        "devices": [
            {
                "name": device.name,
                "containerEdits": {
                    "env": [f"{name}={value}" for name, value in device.env.items()],
                    "deviceNodes": [_node(node, dev_root) for node in device.nodes],
                },
            }
            for device in devices
        ],
    }


def _node(node: DeviceNode, dev_root: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "path": f"/dev/{node.path}",
        "type": "c",
        "major": node.major,
        "minor": node.minor,
        "fileMode": _MODE,
        "permissions": "rw",
    }
    if dev_root != "/dev":
        found["hostPath"] = f"{dev_root}/{node.path}"
    return found


def encode_spec(document: Mapping[str, Any]) -> bytes:
    """The bytes of its file."""
    return json.dumps(document, indent=1).encode() + b"\n"

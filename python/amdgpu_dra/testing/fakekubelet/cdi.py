"""Reads CDI documents as strictly as the container runtime's library does."""

import json
import re
from pathlib import Path
from typing import Any

_NODE_FIELDS = {"path", "hostPath", "type", "major", "minor", "fileMode", "permissions", "uid", "gid"}
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.:-]*[A-Za-z0-9])?")


class CdiError(Exception):
    """A document that a runtime would refuse, or a device that none defines."""


def resolve(folder: Path, ids: list[str]) -> dict[str, Any]:
    """The edits of these devices together: device nodes by path, and variables.

    Raises:
        CdiError: a document has a fault, or not exactly one defines a device.
    """
    devices: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.json")):
        spec = json.loads(path.read_text())
        _check(path, spec)
        for device in spec["devices"]:
            ident = f"{spec['kind']}={device['name']}"
            if ident in devices:
                raise CdiError(f"{ident} is defined twice")
            devices[ident] = device["containerEdits"]
    edits: dict[str, Any] = {"nodes": {}, "env": {}}
    for ident in ids:
        if ident not in devices:
            raise CdiError(f"unresolvable CDI device {ident}")
        edits["nodes"] |= {node["path"]: node for node in devices[ident]["deviceNodes"]}
        edits["env"] |= dict(pair.split("=", 1) for pair in devices[ident]["env"])
    return edits


def _check(path: Path, spec: dict[str, Any]) -> None:
    if set(spec) - {"cdiVersion", "kind", "devices", "containerEdits", "annotations"} or not spec["devices"]:
        raise CdiError(f"{path}: unknown fields, or no device")
    if spec["cdiVersion"] != "0.5.0":
        raise CdiError(f"{path}: version {spec['cdiVersion']} is not the least that its fields need")
    for device in spec["devices"]:
        if not _NAME.fullmatch(device["name"]):
            raise CdiError(f"{path}: device name {device['name']!r}")
        for node in device["containerEdits"]["deviceNodes"]:
            if set(node) - _NODE_FIELDS:
                raise CdiError(f"{path}: unknown fields in {node}")

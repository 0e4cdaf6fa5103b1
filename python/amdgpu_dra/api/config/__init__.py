"""The opaque configuration that users put into claims and classes: `gpu.resource.amd.com/v1alpha1`.

Decoding is strict and tells every wrong field with its path.
"""

from collections.abc import Mapping

from amdgpu_dra.api.errors import shorten

__all__ = ["API_VERSION", "decode_config"]

API_VERSION = "gpu.resource.amd.com/v1alpha1"
_GPU_CONFIG = {"apiVersion", "kind"}
_LONGEST_NAME = 63


def decode_config(raw: object, path: str) -> list[str]:
    """Every error of one configuration; none if it is a GpuConfig, which has no settings yet.

    Args:
        raw: its JSON.
        path: where it stands, as Kubernetes writes field paths.
    """
    if not isinstance(raw, Mapping):
        return [f"{path}: expected an object, found {shorten(raw)}"]
    errors = []
    if raw.get("apiVersion") != API_VERSION:
        errors.append(f"{path}.apiVersion: expected {API_VERSION!r}, found {shorten(raw.get('apiVersion'))}")
    if raw.get("kind") == "VfioDeviceConfig":
        errors.append(f"{path}.kind: VfioDeviceConfig is not supported: this driver does not hand out VFIO devices yet")
    elif raw.get("kind") != "GpuConfig":
        errors.append(f"{path}.kind: expected 'GpuConfig', found {shorten(raw.get('kind'))}")
    else:
        errors += [
            f"{path}.{_short(name)}: unknown field; GpuConfig has none"
            for name in sorted(map(str, raw))
            if name not in _GPU_CONFIG
        ]
    return errors


def _short(name: str) -> str:
    """A field's name as it stands; one that no field can have is quoted and cut off."""
    return name if name.isidentifier() and len(name) <= _LONGEST_NAME else shorten(name)

"""The opaque configuration that users put into claims and classes: `gpu.resource.amd.com/v1alpha1`.

Decoding is strict and tells every wrong field with its path.
"""

from collections.abc import Mapping

__all__ = ["API_VERSION", "decode_config"]

API_VERSION = "gpu.resource.amd.com/v1alpha1"
_GPU_CONFIG = {"apiVersion", "kind"}


def decode_config(raw: object, path: str) -> list[str]:
    """Every error of one configuration; none if it is a GpuConfig, which has no settings yet.

    Args:
        raw: its JSON.
        path: where it stands, as Kubernetes writes field paths.
    """
    if not isinstance(raw, Mapping):
        return [f"{path}: expected an object, found {raw!r}"]
    errors = []
    if raw.get("apiVersion") != API_VERSION:
        errors.append(f"{path}.apiVersion: expected {API_VERSION!r}, found {raw.get('apiVersion')!r}")
    if raw.get("kind") == "VfioDeviceConfig":
        errors.append(f"{path}.kind: VfioDeviceConfig is not supported: this driver does not hand out VFIO devices yet")
    elif raw.get("kind") != "GpuConfig":
        errors.append(f"{path}.kind: expected 'GpuConfig', found {raw.get('kind')!r}")
    else:
        errors += [
            f"{path}.{name}: unknown field; GpuConfig has none" for name in sorted(raw) if name not in _GPU_CONFIG
        ]
    return errors

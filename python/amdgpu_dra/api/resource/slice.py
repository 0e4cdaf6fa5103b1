"""ResourceSlice (resource.k8s.io/v1)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from amdgpu_dra.api.quantity import format_binary, parse_quantity


@dataclass(frozen=True, slots=True)
class Version:
    """An attribute of type version: a semantic version 2.0.0."""

    text: str


type AttributeValue = bool | int | str | Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device of a slice.

    Attributes:
        attributes: qualified name -> value.
        capacity: qualified name -> exact quantity.
        other: JSON of every other field, kept so that a foreign change is noticed.
    """

    name: str
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    capacity: Mapping[str, Fraction] = field(default_factory=dict)
    other: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceSlice:
    """A slice of a node's pool. `uid` and `resource_version` are empty for one that was never created."""

    name: str
    driver: str
    node_name: str
    pool: str
    generation: int
    slice_count: int
    devices: tuple[Device, ...]
    owner_uid: str = ""
    uid: str = ""
    resource_version: str = ""


def encode_slice(value: ResourceSlice) -> dict[str, Any]:
    """The JSON of a slice, owned by its node."""
    metadata: dict[str, Any] = {
        "name": value.name,
        "ownerReferences": [
            {"apiVersion": "v1", "kind": "Node", "name": value.node_name, "uid": value.owner_uid, "controller": True}
        ],
    }
    if value.uid:
        metadata |= {"uid": value.uid, "resourceVersion": value.resource_version}
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceSlice",
        "metadata": metadata,
        "spec": {
            "driver": value.driver,
            "nodeName": value.node_name,
            "pool": {
                "name": value.pool,
                "generation": value.generation,
                "resourceSliceCount": value.slice_count,
            },
            "devices": [_encode_device(device) for device in value.devices],
        },
    }


def _encode_device(device: Device) -> dict[str, Any]:
    found: dict[str, Any] = {"name": device.name}
    if device.attributes:
        found["attributes"] = {name: _encode_attribute(value) for name, value in device.attributes.items()}
    if device.capacity:
        found["capacity"] = {name: {"value": _encode_quantity(value)} for name, value in device.capacity.items()}
    return found | dict(device.other)


def _encode_attribute(value: AttributeValue) -> dict[str, Any]:
    match value:
        case bool():
            return {"bool": value}
        case int():
            return {"int": value}
        case str():
            return {"string": value}
        case Version():
            return {"version": value.text}


def _encode_quantity(value: Fraction) -> str:
    return format_binary(value.numerator) if value.denominator == 1 else f"{int(value * 1000)}m"


def decode_slice(raw: Mapping[str, Any]) -> ResourceSlice:
    """A slice as the API server gives it; fields that we never write are kept where they would matter."""
    metadata, spec = raw.get("metadata") or {}, raw.get("spec") or {}
    pool = spec.get("pool") or {}
    owners = [owner for owner in metadata.get("ownerReferences") or [] if owner.get("kind") == "Node"]
    return ResourceSlice(
        name=metadata.get("name", ""),
        driver=spec.get("driver", ""),
        node_name=spec.get("nodeName", ""),
        pool=pool.get("name", ""),
        generation=pool.get("generation", 0),
        slice_count=pool.get("resourceSliceCount", 0),
        devices=tuple(_decode_device(device) for device in spec.get("devices") or []),
        owner_uid=owners[0].get("uid", "") if owners else "",
        uid=metadata.get("uid", ""),
        resource_version=metadata.get("resourceVersion", ""),
    )


def _decode_device(raw: Mapping[str, Any]) -> Device:
    known = {"name", "attributes", "capacity"}
    return Device(
        name=raw.get("name", ""),
        attributes={name: _decode_attribute(value) for name, value in (raw.get("attributes") or {}).items()},
        capacity={name: _decode_capacity(value) for name, value in (raw.get("capacity") or {}).items()},
        other={name: value for name, value in raw.items() if name not in known},
    )


def _decode_attribute(raw: Mapping[str, Any]) -> AttributeValue:
    """A kind that we never write becomes a text no attribute of ours can equal."""
    if "version" in raw:
        return Version(raw["version"])
    for kind in ("bool", "int", "string"):
        if kind in raw:
            value: AttributeValue = raw[kind]
            return value
    return f"unknown kind: {sorted(raw)}"


def _decode_capacity(raw: Mapping[str, Any]) -> Fraction:
    try:
        return parse_quantity(str(raw.get("value", "0"))) if set(raw) <= {"value"} else Fraction(-1)
    except ValueError:
        return Fraction(-1)

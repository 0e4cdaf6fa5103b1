"""ResourceSlice (resource.k8s.io/v1)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, cast

from amdgpu_dra.api.quantity import format_binary, parse_quantity


@dataclass(frozen=True, slots=True)
class Version:
    """An attribute of type version: a semantic version 2.0.0."""

    text: str


type AttributeValue = bool | int | str | Version


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterSet:
    """Counters that the devices of a pool share: name -> how much there is."""

    name: str
    counters: Mapping[str, Fraction]


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterConsumption:
    """What an allocated device takes of one counter set: counter -> how much."""

    counter_set: str
    counters: Mapping[str, Fraction]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taint:
    """A taint of a device. `effect` is None, NoSchedule or NoExecute (as text).

    `time_added` is set by the server where we leave it out, so it is no part of the comparison.
    """

    key: str
    value: str = ""
    effect: str = "NoSchedule"
    time_added: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device of a slice.

    Attributes:
        attributes: qualified name -> value.
        capacity: qualified name -> exact quantity.
        consumes_counters: what it takes of the pool's counter sets while it is allocated; at most two sets.
        taints: why it should not be used; at most 16.
        other: JSON of every other field, kept so that a foreign change is noticed.
    """

    name: str
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    capacity: Mapping[str, Fraction] = field(default_factory=dict)
    consumes_counters: tuple[CounterConsumption, ...] = ()
    taints: tuple[Taint, ...] = ()
    other: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceSlice:
    """A slice of a node's pool: devices or shared counters, never both.

    `uid` and `resource_version` are empty for one that was never created.
    """

    name: str
    driver: str
    node_name: str
    pool: str
    generation: int
    slice_count: int
    devices: tuple[Device, ...] = ()
    shared_counters: tuple[CounterSet, ...] = ()
    owner_uid: str = ""
    uid: str = ""
    resource_version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceEvent:
    """What a watch brings.

    Attributes:
        version: from where another watch can go on; empty if this one's was too old, and the slices have to be listed.
        item: the slice that was added, changed or deleted; None if it is a sign of life alone.
        deleted: it is the last state of a slice that is gone.
    """

    version: str
    item: ResourceSlice | None = None
    deleted: bool = False


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
    spec: dict[str, Any] = {
        "driver": value.driver,
        "nodeName": value.node_name,
        "pool": {
            "name": value.pool,
            "generation": value.generation,
            "resourceSliceCount": value.slice_count,
        },
    }
    if value.shared_counters:
        spec["sharedCounters"] = [
            {"name": item.name, "counters": _encode_quantities(item.counters)} for item in value.shared_counters
        ]
    if value.devices or not value.shared_counters:
        spec["devices"] = [_encode_device(device) for device in value.devices]
    return {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceSlice", "metadata": metadata, "spec": spec}


def _encode_device(device: Device) -> dict[str, Any]:
    found: dict[str, Any] = {"name": device.name}
    if device.attributes:
        found["attributes"] = {name: _encode_attribute(value) for name, value in device.attributes.items()}
    if device.capacity:
        found["capacity"] = _encode_quantities(device.capacity)
    if device.consumes_counters:
        found["consumesCounters"] = [
            {"counterSet": item.counter_set, "counters": _encode_quantities(item.counters)}
            for item in device.consumes_counters
        ]
    if device.taints:
        found["taints"] = [_encode_taint(taint) for taint in device.taints]
    return found | dict(device.other)


def _encode_taint(taint: Taint) -> dict[str, str]:
    fields = {"key": taint.key, "value": taint.value, "effect": taint.effect, "timeAdded": taint.time_added}
    return {name: value for name, value in fields.items() if value}


def _encode_quantities(values: Mapping[str, Fraction]) -> dict[str, Any]:
    return {name: {"value": _encode_quantity(value)} for name, value in values.items()}


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


def decode_slice(raw: object) -> ResourceSlice:
    """A slice as the API server gives it; fields that we never write are kept where they would matter.

    Raises:
        ValueError: it is not of the form that the API promises.
    """
    try:
        found = _decode(cast("Mapping[str, Any]", raw))
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not a ResourceSlice: {error}") from error
    for name, value, kind in (
        ("metadata.name", found.name, str),
        ("metadata.uid", found.uid, str),
        ("metadata.resourceVersion", found.resource_version, str),
        ("spec.pool.generation", found.generation, int),
    ):
        if not isinstance(value, kind):
            raise ValueError(f"{name}: expected {kind.__name__}, found {value!r}")  # noqa: TRY004 - one error for one reader
    return found


def _decode(raw: Mapping[str, Any]) -> ResourceSlice:
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
        shared_counters=tuple(
            CounterSet(name=item.get("name", ""), counters=_decode_quantities(item.get("counters")))
            for item in spec.get("sharedCounters") or []
        ),
        owner_uid=owners[0].get("uid", "") if owners else "",
        uid=metadata.get("uid", ""),
        resource_version=metadata.get("resourceVersion", ""),
    )


def _decode_device(raw: Mapping[str, Any]) -> Device:
    known = {"name", "attributes", "capacity", "consumesCounters", "taints"}
    return Device(
        name=raw.get("name", ""),
        attributes={name: _decode_attribute(value) for name, value in (raw.get("attributes") or {}).items()},
        capacity=_decode_quantities(raw.get("capacity")),
        consumes_counters=tuple(
            CounterConsumption(
                counter_set=item.get("counterSet", ""), counters=_decode_quantities(item.get("counters"))
            )
            for item in raw.get("consumesCounters") or []
        ),
        taints=tuple(
            Taint(
                key=item.get("key", ""),
                value=item.get("value", ""),
                effect=item.get("effect", ""),
                time_added=item.get("timeAdded", ""),
            )
            for item in raw.get("taints") or []
        ),
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


def _decode_quantities(raw: Mapping[str, Any] | None) -> dict[str, Fraction]:
    return {name: _decode_quantity(value) for name, value in (raw or {}).items()}


def _decode_quantity(raw: Mapping[str, Any]) -> Fraction:
    """A quantity that we never write (with a policy, or none at all) becomes one that none of ours can equal."""
    try:
        return parse_quantity(str(raw.get("value", "0"))) if set(raw) <= {"value"} else Fraction(-1)
    except ValueError:
        return Fraction(-1)

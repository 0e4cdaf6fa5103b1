"""ResourceSlices, DeviceClasses and Nodes (v1 JSON) -> what the allocator works on."""

from collections.abc import Mapping

from amdgpu_dra.core.allocate.fields import DecodeError, Fields
from amdgpu_dra.core.allocate.model import (
    Attribute,
    Capacity,
    Counter,
    Device,
    DeviceClass,
    DeviceId,
    Node,
    Placement,
    Policy,
    Requirement,
    Slice,
    Taint,
    Term,
)

# In the order in which upstream looks at them: scalars as constraints compare them, then as sets.
_SCALARS = ("string", "int", "bool", "version")
_LISTS = (("ints", "int"), ("bools", "bool"), ("strings", "string"), ("versions", "version"))
_SET_SCALARS = ("int", "bool", "string", "version")


def decode_slice(raw: Mapping[str, object]) -> Slice:
    """A ResourceSlice.

    Raises:
        DecodeError: a field is of the wrong kind; says which.
    """
    root = Fields(raw, "slice")
    spec = root.child("spec")
    pool = spec.child("pool")
    driver, pool_name = spec.text("driver"), pool.text("name")
    by_device = spec.flag("perDeviceNodeSelection", None)
    placement = _placement(spec)
    skip = spec.texts("skipNodeOperations")
    devices = spec.objects("devices", lambda item: _device(item, (driver, pool_name), by_device, placement, skip))
    return Slice(
        name=root.child("metadata").text("name"),
        driver=driver,
        pool=pool_name,
        generation=pool.number("generation"),
        slice_count=pool.number("resourceSliceCount"),
        placement=placement,
        by_device=by_device,
        counters=spec.objects("sharedCounters", _counter_set),
        devices=devices,
        uses_groups=any(groups for device in devices for _, groups in device.groups),
        twice=_twice(devices),
        has_binding=any(device.binding_conditions is not None for device in devices),
    )


def decode_class(raw: Mapping[str, object]) -> DeviceClass:
    """A DeviceClass.

    Raises:
        DecodeError: a field is of the wrong kind; says which.
    """
    root = Fields(raw, "class")
    spec = root.child("spec")
    return DeviceClass(
        name=root.child("metadata").text("name"),
        selectors=spec.objects("selectors", selector),
        config=spec.objects("config", lambda item: item.raw),
    )


def decode_node(raw: Mapping[str, object]) -> Node:
    """A Node.

    Raises:
        DecodeError: a field is of the wrong kind; says which.
    """
    root = Fields(raw, "node")
    metadata = root.child("metadata")
    labels = metadata.child("labels")
    return Node(
        name=metadata.text("name"),
        labels={name: labels.text(name) for name in labels.raw},
        declared_features=frozenset(root.child("status").texts("declaredFeatures")),
    )


def selector(item: Fields) -> str | None:
    """The CEL expression of a selector; None for a selector of another kind."""
    return item.child("cel").text("expression") if item.has("cel") else None


def _device(
    item: Fields,
    pool: tuple[str, str],
    by_device: bool | None,  # noqa: FBT001
    of_slice: Placement,
    skip: tuple[str, ...],
) -> Device:
    selects = by_device is True
    return Device(
        id=DeviceId(*pool, item.text("name")),
        attributes=item.entries("attributes", _attribute),
        capacity=item.entries("capacity", _capacity),
        takes=tuple(row for rows in item.objects("consumesCounters", _takes) for row in rows),
        groups=item.objects("consumesCounters", _groups),
        taints=item.objects("taints", _taint),
        allow_multiple=item.flag("allowMultipleAllocations", default=False),
        binding_conditions=item.texts("bindingConditions") if item.has("bindingConditions") else None,
        binding_failure_conditions=(
            item.texts("bindingFailureConditions") if item.has("bindingFailureConditions") else None
        ),
        binds_to_node=item.flag("bindsToNode", default=False),
        placement=_placement(item) if selects else of_slice,
        selects_nodes=selects,
        skip_operations=skip,
        raw=item.raw,
    )


def _twice(devices: tuple[Device, ...]) -> str | None:
    seen: set[str] = set()
    for device in devices:
        if device.id.device in seen:
            return device.id.device
        seen.add(device.id.device)
    return None


def decode_attribute(raw: Mapping[str, object]) -> Attribute:
    """The value of an attribute (v1 JSON).

    Raises:
        DecodeError: it is of the wrong kind; says which.
    """
    return _attribute(Fields(raw, "attribute"))


def _attribute(item: Fields) -> Attribute:
    scalars: dict[str, object] = {}
    for kind in _SCALARS:
        if item.has(kind):
            scalars[kind] = _scalar(item, kind)
    members = None
    for kind in reversed(_SET_SCALARS):
        if kind in scalars:
            members = (kind, frozenset([scalars[kind]]))
    for key, kind in reversed(_LISTS):
        if found := item.items(key):
            members = (kind, frozenset(_hashable(value, f"{item.path}.{key}") for value in found))
    first = next(iter(scalars), None)
    return Attribute(scalar=(first, scalars[first]) if first else None, members=members)


def _scalar(item: Fields, kind: str) -> object:
    if kind == "int":
        return item.number(kind)
    if kind == "bool":
        return item.flag(kind, None)
    return item.text(kind)


def _hashable(value: object, path: str) -> object:
    if not isinstance(value, str | int | bool):
        raise DecodeError(path, "a list of strings, numbers or bools", value)
    return value


def _capacity(item: Fields) -> Capacity:
    return Capacity(
        value=item.quantity("value"), policy=_policy(item.child("requestPolicy")) if item.has("requestPolicy") else None
    )


def _policy(item: Fields) -> Policy:
    limits = item.child("validRange")
    return Policy(
        default=item.optional_quantity("default"),
        valid_values=item.quantity_items("validValues"),
        has_range=item.has("validRange"),
        least=limits.optional_quantity("min"),
        most=limits.optional_quantity("max"),
        step=limits.optional_quantity("step"),
    )


def _takes(item: Fields) -> tuple[tuple[Counter, int], ...]:
    name = item.text("counterSet")
    return tuple(((name, counter), value) for counter, value in item.entries("counters", _counter).items())


def _groups(item: Fields) -> tuple[str, frozenset[str]]:
    return item.text("counterSet"), frozenset(item.texts("compatibilityGroups"))


def _counter_set(item: Fields) -> tuple[str, Mapping[str, int]]:
    return item.text("name"), item.entries("counters", _counter)


def _counter(item: Fields) -> int:
    return item.quantity("value").nano


def _taint(item: Fields) -> Taint:
    return Taint(key=item.text("key"), value=item.text("value"), effect=item.text("effect"))


def _placement(item: Fields) -> Placement:
    return Placement(
        node_name=item.text("nodeName") if item.has("nodeName") else None,
        all_nodes=item.flag("allNodes", default=False),
        selector=item.child("nodeSelector").objects("nodeSelectorTerms", _term) if item.has("nodeSelector") else None,
    )


def _term(item: Fields) -> Term:
    return Term(labels=item.objects("matchExpressions", _requirement), fields=item.objects("matchFields", _requirement))


def _requirement(item: Fields) -> Requirement:
    return Requirement(key=item.text("key"), operator=item.text("operator"), values=item.texts("values"))

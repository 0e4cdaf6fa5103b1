"""ResourceClaim (resource.k8s.io/v1): what a kubelet plugin reads of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from amdgpu_dra.api.errors import shorten

_NAMES = ("request", "driver", "pool", "device")
# The longest name of the API, that of a pool. The others are shorter, and may grow: results of other drivers are here
# too.
_LONGEST = 253


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceResult:
    """A device that the scheduler allocated. `request` is `name`, or `name/subrequest`."""

    request: str
    driver: str
    pool: str
    device: str
    admin_access: bool = False
    share_id: str | None = None

    @property
    def base_request(self) -> str:
        """The request without its sub-request, as the kubelet knows it."""
        return self.request.partition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpaqueConfig:
    """A configuration of the allocation: for which requests (none named: all), of which driver, and its JSON.

    `path` is where it stands in the claim, for messages.
    """

    requests: tuple[str, ...]
    driver: str
    parameters: Any
    from_class: bool
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRef:
    """A claim or a pod, as an Event names it; `kind` is the API's."""

    kind: str
    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A claim; `results` is None while it is not allocated, `reserved` says whether anything has it, `pods` which."""

    namespace: str
    name: str
    uid: str
    results: tuple[DeviceResult, ...] | None
    configs: tuple[OpaqueConfig, ...] = ()
    reserved: bool = False
    pods: tuple[ObjectRef, ...] = ()


def decode_claim(raw: object) -> Claim:
    """A claim as the API server gives it.

    Raises:
        ValueError: it is not of the form that the API promises; says where, of every fault of its allocation.
    """
    if not isinstance(raw, Mapping):
        raise ValueError(f"claim: expected an object, found {shorten(raw)}")  # noqa: TRY004 - one error for one reader
    metadata, status = _mapping(raw, "metadata"), _mapping(raw, "status")
    devices = _mapping(_mapping(status, "allocation", "status."), "devices", "status.allocation.")
    path, errors = "status.allocation.devices", list[str]()
    results = None
    if status.get("allocation") is not None:
        items = _list(devices, "results", f"{path}.", errors)
        results = tuple(_result(item, f"{path}.results[{i}]", errors) for i, item in enumerate(items))
    configs = enumerate(_list(devices, "config", f"{path}.", errors))
    found = tuple(_config(item, f"{path}.config[{i}]", errors) for i, item in configs)
    if errors:
        raise ValueError("; ".join(errors))
    namespace, reserved = str(metadata.get("namespace", "")), status.get("reservedFor")
    return Claim(
        namespace=namespace,
        name=str(metadata.get("name", "")),
        uid=str(metadata.get("uid", "")),
        results=results,
        configs=found,
        reserved=bool(reserved),
        pods=_pods(reserved, namespace),
    )


def _mapping(raw: Mapping[str, Any], name: str, where: str = "") -> Mapping[str, Any]:
    value = raw.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValueError(f"{where}{name}: expected an object, found {shorten(value)}")  # noqa: TRY004
    return value


def _list(raw: Mapping[str, Any], name: str, where: str, errors: list[str]) -> Sequence[object]:
    value = raw.get(name)
    if isinstance(value, list):
        return value
    if value is not None:
        errors.append(f"{where}{name}: expected a list, found {shorten(value)}")
    return ()


def _result(item: object, path: str, errors: list[str]) -> DeviceResult:
    if not isinstance(item, Mapping):
        errors.append(f"{path}: expected an object, found {shorten(item)}")
        item = dict.fromkeys(_NAMES, "-")
    for name in _NAMES:
        value = item.get(name)
        if not isinstance(value, str) or not value or len(value) > _LONGEST or not value.isprintable():
            errors.append(f"{path}.{name}: expected a name of 1 to {_LONGEST} characters, found {shorten(value)}")
    request, admin, share = item.get("request"), item.get("adminAccess"), item.get("shareID")
    if isinstance(request, str) and request and not all(request.split("/", 2)):
        errors.append(f"{path}.request: expected name or name/subrequest, found {shorten(request)}")
    if not isinstance(admin, bool | None):
        errors.append(f"{path}.adminAccess: expected true or false, found {shorten(admin)}")
    if share is not None and (not isinstance(share, str) or not share):
        errors.append(f"{path}.shareID: expected a text, found {shorten(share)}")
    names = {name: str(item.get(name)) for name in _NAMES}
    return DeviceResult(**names, admin_access=admin is True, share_id=share)


def _config(item: object, path: str, errors: list[str]) -> OpaqueConfig:
    """A configuration; one that is not opaque is of no driver, and so nobody's."""
    if not isinstance(item, Mapping):
        errors.append(f"{path}: expected an object, found {shorten(item)}")
        item = {}
    opaque = item.get("opaque")
    if not isinstance(opaque, Mapping | None):
        errors.append(f"{path}.opaque: expected an object, found {shorten(opaque)}")
    opaque = opaque if isinstance(opaque, Mapping) else {}
    driver, requests = opaque.get("driver"), _list(item, "requests", f"{path}.", errors)
    if not isinstance(driver, str | None):
        errors.append(f"{path}.opaque.driver: expected a text, found {shorten(driver)}")
    for i, request in enumerate(requests):
        if not isinstance(request, str):
            errors.append(f"{path}.requests[{i}]: expected a text, found {shorten(request)}")
    return OpaqueConfig(
        requests=tuple(map(str, requests)),
        driver=str(driver or ""),
        parameters=opaque.get("parameters"),
        from_class=item.get("source") == "FromClass",
        path=f"{path}.opaque.parameters",
    )


def _pods(reserved: object, namespace: str) -> tuple[ObjectRef, ...]:
    """The pods among those that have the claim. Nothing depends on them but who is told, so others are passed over."""
    items = [item for item in reserved if isinstance(item, Mapping)] if isinstance(reserved, list) else []
    return tuple(
        ObjectRef(kind="Pod", namespace=namespace, name=item["name"], uid=item["uid"])
        for item in items
        if item.get("resource") == "pods"
        and not item.get("apiGroup")
        and isinstance(item.get("name"), str)
        and isinstance(item.get("uid"), str)
    )

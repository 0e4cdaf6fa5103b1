"""ResourceClaim (resource.k8s.io/v1): what a kubelet plugin reads of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


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
class Claim:
    """A claim; `results` is None while it is not allocated, and `reserved` says whether pods have it."""

    namespace: str
    name: str
    uid: str
    results: tuple[DeviceResult, ...] | None
    configs: tuple[OpaqueConfig, ...] = ()
    reserved: bool = False


def decode_claim(raw: Mapping[str, Any]) -> Claim:
    """A claim as the API server gives it.

    Raises:
        ValueError: the allocation is not of the form that the API promises; says where.
    """
    metadata, status = _mapping(raw, "metadata"), _mapping(raw, "status")
    devices = _mapping(_mapping(status, "allocation"), "devices")
    results = None
    if status.get("allocation") is not None:
        results = tuple(_result(item, i) for i, item in enumerate(_list(devices, "results")))
    return Claim(
        namespace=str(metadata.get("namespace", "")),
        name=str(metadata.get("name", "")),
        uid=str(metadata.get("uid", "")),
        results=results,
        configs=tuple(
            _config(item, f"status.allocation.devices.config[{i}]")
            for i, item in enumerate(_list(devices, "config"))
            if isinstance(item, Mapping)
        ),
        reserved=bool(status.get("reservedFor")),
    )


def _mapping(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = raw.get(name) or {}
    if not isinstance(value, Mapping):
        raise ValueError(f"{name}: expected an object, found {value!r}")  # noqa: TRY004 - one error for one reader
    return value


def _list(raw: Mapping[str, Any], name: str) -> list[Any]:
    value = raw.get(name) or []
    if not isinstance(value, list):
        raise ValueError(f"{name}: expected a list, found {value!r}")  # noqa: TRY004
    return value


def _result(item: object, position: int) -> DeviceResult:
    path = f"status.allocation.devices.results[{position}]"
    if not isinstance(item, Mapping):
        raise ValueError(f"{path}: expected an object, found {item!r}")  # noqa: TRY004
    for name in ("request", "driver", "pool", "device"):
        if not isinstance(item.get(name), str) or not item[name]:
            raise ValueError(f"{path}.{name}: expected a text, found {item.get(name)!r}")
    if not isinstance(item.get("shareID"), str | None):
        raise ValueError(f"{path}.shareID: expected a text, found {item['shareID']!r}")  # noqa: TRY004
    return DeviceResult(
        request=item["request"],
        driver=item["driver"],
        pool=item["pool"],
        device=item["device"],
        admin_access=item.get("adminAccess") is True,
        share_id=item.get("shareID"),
    )


def _config(item: Mapping[str, Any], path: str) -> OpaqueConfig:
    opaque = _mapping(item, "opaque")
    return OpaqueConfig(
        requests=tuple(map(str, _list(item, "requests"))),
        driver=str(opaque.get("driver", "")),
        parameters=opaque.get("parameters"),
        from_class=item.get("source") == "FromClass",
        path=f"{path}.opaque.parameters",
    )

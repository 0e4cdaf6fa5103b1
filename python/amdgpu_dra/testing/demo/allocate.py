"""A scheduler of one node: the project's own allocation library on what the API server holds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from amdgpu_dra.core.allocate import (
    Allocated,
    AllocatedState,
    Allocator,
    Features,
    Inventory,
    decode_claim,
    decode_class,
    decode_node,
    decode_slice,
)
from amdgpu_dra.core.explain import CLASSES


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a claim asks for.

    Attributes:
        device_class: one of the chart's.
        select: attribute -> value that every device must have.
        match: attribute, with its domain, in which all devices of the claim must agree.
    """

    name: str
    device_class: str = "gpu.amd.com"
    count: int = 1
    select: Mapping[str, str] = field(default_factory=dict)
    match: str | None = None

    @property
    def spec(self) -> dict[str, Any]:
        """The claim as a user would write it."""
        request: dict[str, Any] = {"deviceClassName": self.device_class, "allocationMode": "ExactCount"}
        request["count"] = self.count
        if self.select:
            terms = [
                f"device.attributes['gpu.amd.com'].?{name}.orValue('') == '{value}'"
                for name, value in self.select.items()
            ]
            request["selectors"] = [{"cel": {"expression": " && ".join(terms)}}]
        devices: dict[str, Any] = {"requests": [{"name": "gpu", "exactly": request}]}
        if self.match:
            devices["constraints"] = [{"matchAttribute": self.match}]
        return {"devices": devices}

    @property
    def words(self) -> str:
        """The same for a person."""
        what = f"{self.count} device{'s' if self.count > 1 else ''} of {self.device_class}"
        selected = "".join(f", {name} = {value}" for name, value in self.select.items())
        return what + selected + (f", all with the same {self.match.rpartition('/')[2]}" if self.match else "")


def value_of(device: dict[str, Any], name: str) -> object:
    """An attribute's value, None if the device has none of that name."""
    return next(iter(device.get("attributes", {}).get(name, {}).values()), None)


def devices_of(slices: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """All devices in the order in which a scheduler reads them."""
    for item in slices:
        yield from item["spec"].get("devices") or []


def allocate(
    wish: Wish, node: str, slices: list[dict[str, Any]], held: list[dict[str, Any]]
) -> Mapping[str, Any] | None:
    """The allocation as the scheduler would write it, or None if the wish cannot be met now.

    Args:
        wish: what is asked.
        node: where.
        slices: all of the API server.
        held: the claims that are allocated.
    """
    allocator = Allocator(
        Features(),
        AllocatedState.of_claims(held),
        [decode_class(item) for item in CLASSES],
        Inventory([decode_slice(item) for item in slices]),
    )
    claim = {"metadata": {"name": wish.name, "namespace": "default", "uid": wish.name}, "spec": wish.spec}
    outcome = allocator.allocate(decode_node({"metadata": {"name": node}}), [decode_claim(claim)])
    return outcome.results[0] if isinstance(outcome, Allocated) else None

"""A small scheduler: the first devices that fit, in the order of slices and devices."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a claim asks for.

    Attributes:
        select: attribute -> value that every device must have.
        match: attribute in which all devices of the claim must agree.
    """

    name: str
    count: int = 1
    select: dict[str, object] = field(default_factory=dict)
    match: str | None = None

    @property
    def spec(self) -> dict[str, Any]:
        """The claim as a user would write it."""
        request: dict[str, Any] = {"deviceClassName": "gpu.amd.com"}
        if self.count > 1:
            request["count"] = self.count
        if self.select:
            terms = [f"device.attributes['gpu.amd.com'].{name} == '{value}'" for name, value in self.select.items()]
            request["selectors"] = [{"cel": {"expression": " && ".join(terms)}}]
        devices: dict[str, Any] = {"requests": [{"name": "gpu", "exactly": request}]}
        if self.match:
            devices["constraints"] = [{"matchAttribute": self.match}]
        return {"devices": devices}

    @property
    def words(self) -> str:
        """The same for a person."""
        what = f"{self.count} device{'s' if self.count > 1 else ''}"
        selected = "".join(f", {name} = {value}" for name, value in self.select.items())
        return what + selected + (f", all with the same {self.match.rpartition('/')[2]}" if self.match else "")


def value_of(device: dict[str, Any], name: str) -> object:
    """An attribute's value, None if the device has none of that name."""
    return next(iter(device.get("attributes", {}).get(name, {}).values()), None)


def devices_of(slices: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """All devices in the order in which a scheduler reads them."""
    for item in slices:
        yield from item["spec"].get("devices") or []


def allocate(wish: Wish, slices: list[dict[str, Any]], taken: set[str]) -> list[str] | None:
    """Names of the devices, or None if the wish cannot be met now."""
    free = [
        device
        for device in devices_of(slices)
        if device["name"] not in taken and all(value_of(device, name) == value for name, value in wish.select.items())
    ]
    groups: dict[object, list[dict[str, Any]]] = {}
    for device in free:
        groups.setdefault(value_of(device, wish.match) if wish.match else None, []).append(device)
    for group in groups.values():
        for chosen in combinations(group, wish.count):
            return [device["name"] for device in chosen]
    return None

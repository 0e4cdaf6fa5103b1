"""Objects as JSON."""

import json
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from amdgpu_dra.api.resource import encode_slice
from amdgpu_dra.core.devices import STATIC, Layout, Listing, describe, list_devices
from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.core.gpu import Inventory, parse
from amdgpu_dra.core.slices import DRIVER, build_slices
from amdgpu_dra.edge.faketree import read_fleet

type Object = dict[str, Any]

SPX = "mi300x-8-spx"
"""Eight MI300X, each of them whole."""


def slices(fleet: str, *nodes: str, layout: Layout = STATIC) -> list[Object]:
    """The ResourceSlices of nodes of one fleet."""
    return slices_of(list_devices(_inventory(fleet), layout), nodes)


def slices_of(listing: Listing, nodes: Iterable[str]) -> list[Object]:
    """The ResourceSlices of nodes that list the same devices."""
    devices = tuple(describe(device)[0] for device in listing.devices)
    return [
        json.loads(json.dumps(encode_slice(item)))
        for node in nodes
        for item in build_slices(devices, listing.counter_sets, node=node, node_uid=f"uid-{node}")
    ]


def exactly(name: str = "gpus", of_class: str = "gpu.amd.com", *selectors: str, **more: object) -> Object:
    """A request; what the API server fills in is left out."""
    exact: Object = {"deviceClassName": of_class, **more}
    if selectors:
        exact["selectors"] = [{"cel": {"expression": text}} for text in selectors]
    return {"name": name, "exactly": exact}


def claim(*requests: Object, name: str = "train", constraints: Sequence[Object] = ()) -> Object:
    """A ResourceClaim in the namespace `ml`."""
    devices: Object = {"requests": list(requests)}
    if constraints:
        devices["constraints"] = list(constraints)
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaim",
        "metadata": {"name": name, "namespace": "ml"},
        "spec": {"devices": devices},
    }


def held(name: str, *devices: tuple[str, str]) -> Object:
    """A claim that has these devices (pool and name)."""
    results = [{"request": "gpus", "driver": DRIVER, "pool": pool, "device": device} for pool, device in devices]
    return claim(exactly(), name=name) | {"status": {"allocation": {"devices": {"results": results}}}}


@cache
def _inventory(fleet: str) -> Inventory:
    return parse(render(read_fleet(fleet)))

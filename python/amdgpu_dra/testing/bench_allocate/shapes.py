"""The fleets that are measured, in the form of the oracle's cases."""

from collections.abc import Mapping, Sequence
from typing import Any

DRIVER = "gpu.amd.com"
_LAYOUTS = {"spx": 1, "dpx": 2, "qpx": 4, "cpx": 8}
_FEATURES = (
    "AdminAccess",
    "ConsumableCapacity",
    "DeviceBindingAndStatus",
    "DeviceTaints",
    "FractionalCapacityRange",
    "PartitionableDevices",
    "PrioritizedList",
)
_CPX = f'device.attributes["{DRIVER}"].partitionType == "cpx"'


def shapes() -> list[dict[str, Any]]:
    """Every shape, for 1 and for 8 devices."""
    found = []
    for count in (1, 8):
        found += [
            _case("1 node, 64 whole devices", count, [_whole("node-0", 64)]),
            _case("8 GPUs x 15 partitions, any device", count, [_partitions("node-0", 8)]),
            _case("8 GPUs x 15 partitions, CPX selector", count, [_partitions("node-0", 8)], [_CPX]),
            _case("64 GPUs x 15 partitions, any device", count, [_partitions("node-0", 64)]),
            _case("500 nodes x 8, one asked", count, [_whole(f"node-{i}", 8) for i in range(500)]),
            _case("500 nodes x 8, all asked", count, [_whole(f"node-{i}", 8) for i in range(500)], sweep=500),
        ]
    return found


def _case(
    name: str,
    count: int,
    nodes: Sequence[Sequence[Mapping[str, Any]]],
    selectors: Sequence[str] = (),
    sweep: int = 1,
) -> dict[str, Any]:
    exact = {
        "deviceClassName": "gpu",
        "allocationMode": "ExactCount",
        "count": count,
        "selectors": [{"cel": {"expression": text}} for text in selectors],
    }
    of_class = [{"cel": {"expression": f'device.driver == "{DRIVER}"'}}]
    return {
        "name": f"{name}, {count} of them",
        "channel": "incubating",
        "features": dict.fromkeys(_FEATURES, True),
        "node": {"metadata": {"name": "node-0"}},
        "sweepNodes": [{"metadata": {"name": f"node-{i}"}} for i in range(1, sweep)],
        "classes": [{"metadata": {"name": "gpu"}, "spec": {"selectors": of_class}}],
        "slices": [item for slices in nodes for item in slices],
        "claims": [
            {
                "metadata": {"name": "claim-0", "namespace": "default", "uid": "claim-0"},
                "spec": {"devices": {"requests": [{"name": "req-0", "exactly": exact}]}},
            }
        ],
    }


def _whole(node: str, count: int) -> list[dict[str, Any]]:
    return _slices(node, [[_device(f"gpu-{i}", i, "spx") for i in range(count)]], [])


def _partitions(node: str, gpus: int) -> list[dict[str, Any]]:
    """Every partition of every mode, with the counters of the exact scheme: a coarser one excludes each finer."""
    groups, sets = [], []
    for gpu in range(gpus):
        coarse = [f"{mode}-{i}" for mode, count in _LAYOUTS.items() for i in range(count) if mode != "cpx"]
        limits = {name: 8 if name[:3] != "cpx" else 1 for name in coarse}
        counters = {name: {"value": str(limits[name])} for name in coarse}
        sets.append({"name": f"gpu-{gpu}", "counters": counters})
        devices = []
        for mode, count in _LAYOUTS.items():
            for i in range(count):
                device = _device(f"gpu-{gpu}-{mode}-{i}", gpu, mode)
                takes = {
                    name: {"value": "8" if name == f"{mode}-{i}" else "1"}
                    for name in coarse
                    if name == f"{mode}-{i}" or _LAYOUTS[name[:3]] < count
                }
                device["consumesCounters"] = [{"counterSet": f"gpu-{gpu}", "counters": takes}]
                devices.append(device)
        groups.append(devices)
    pages = [[device for group in groups[i : i + 4] for device in group] for i in range(0, gpus, 4)]
    return _slices(node, pages, [sets[i : i + 8] for i in range(0, gpus, 8)])


def _device(name: str, gpu: int, mode: str) -> dict[str, Any]:
    return {
        "name": name,
        "attributes": {
            "partitionType": {"string": mode},
            "model": {"string": "MI300X"},
            "gpu": {"int": gpu},
            "driverVersion": {"version": "6.12.12"},
            "resource.kubernetes.io/numaNode": {"int": gpu % 2},
        },
        "capacity": {"memory": {"value": f"{192 // _LAYOUTS[mode]}Gi"}},
    }


def _slices(node: str, pages: Sequence[Any], sets: Sequence[Any]) -> list[dict[str, Any]]:
    groups = [{"devices": page} for page in pages] + [{"sharedCounters": page} for page in sets]
    return [
        {
            "metadata": {"name": f"{i:02x}-{DRIVER}-{node}"},
            "spec": {
                "driver": DRIVER,
                "nodeName": node,
                "pool": {"name": node, "generation": 1, "resourceSliceCount": len(groups)},
                **group,
            },
        }
        for i, group in enumerate(groups)
    ]

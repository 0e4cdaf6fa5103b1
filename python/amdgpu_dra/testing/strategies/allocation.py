"""Random questions to the allocator: small fleets and claims, in the form of the recorded cases."""

from typing import Any

from hypothesis import strategies as st

DRIVER = "gpu.amd.com"
NODES = ("node-0", "node-1")
_KINDS = ("spx", "dpx", "cpx")
_ATTRIBUTES = (f"{DRIVER}/kind", f"{DRIVER}/gpu", "resource.kubernetes.io/numaNode")
_SELECTORS = (
    f'device.attributes["{DRIVER}"].kind == "cpx"',
    f'device.attributes["{DRIVER}"].gpu < 1',
    f'device.attributes["{DRIVER}"].?broken.orValue(false)',
    f'device.attributes["{DRIVER}"].healthy',
    f'device.capacity["{DRIVER}"].memory.compareTo(quantity("32Gi")) >= 0',
)
_FEATURES = (
    "AdminAccess",
    "ConsumableCapacity",
    "DeviceBindingAndStatus",
    "DeviceTaints",
    "FractionalCapacityRange",
    "PartitionableDevices",
    "PrioritizedList",
)


def _maybe(value: st.SearchStrategy[Any], often: int = 2) -> st.SearchStrategy[Any]:
    """The value in one case of so many, else None."""
    return st.one_of(*[st.none()] * (often - 1), value)


def _clean(raw: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in raw.items() if value not in (None, [], {})}


_TAINT = st.fixed_dictionaries(
    {"key": st.sampled_from(["sick", "kept"]), "effect": st.sampled_from(["NoSchedule", "NoExecute", "None"])}
)
_TOLERATION = st.fixed_dictionaries({"key": st.sampled_from(["sick", "kept", ""]), "operator": st.just("Exists")})
_POLICY = st.sampled_from(
    [
        {"default": "8Gi", "validRange": {"min": "4Gi", "step": "4Gi"}},
        {"default": "16Gi", "validValues": ["8Gi", "16Gi"]},
    ]
)


@st.composite
def _devices(draw: st.DrawFn, gpu: int) -> list[dict[str, Any]]:
    """The devices of one GPU: some of its layouts, with what each takes of the GPU's counters."""
    found = []
    for kind in draw(st.lists(st.sampled_from(_KINDS), min_size=1, max_size=3, unique=True)):
        count = {"spx": 1, "dpx": 2, "cpx": 4}[kind]
        for i in range(count):
            attributes = {"kind": {"string": kind}, "gpu": {"int": gpu}}
            if draw(st.booleans()):
                attributes[_ATTRIBUTES[2]] = {"int": gpu % 2}
            if draw(st.integers(0, 3)):
                attributes["healthy"] = {"bool": draw(st.booleans())}
            shared = draw(st.integers(0, 5)) == 0
            memory = _clean({"value": f"{64 // count}Gi", "requestPolicy": draw(_maybe(_POLICY)) if shared else None})
            device = {
                "name": f"gpu-{gpu}-{kind}-{i}",
                "attributes": attributes,
                "capacity": {"memory": memory},
                "allowMultipleAllocations": True if shared else None,
                "taints": draw(_maybe(st.lists(_TAINT, max_size=2), 4)),
                "consumesCounters": [
                    {"counterSet": f"gpu-{gpu}", "counters": {"parts": {"value": str(4 // count)}}},
                ],
            }
            found.append(_clean(device))
    return found


@st.composite
def _node_slices(draw: st.DrawFn, node: str) -> list[dict[str, Any]]:
    gpus = draw(st.integers(1, 3))
    groups: list[dict[str, Any]] = [{"devices": draw(_devices(gpu))} for gpu in range(gpus)]
    if draw(st.booleans()):
        sets = [{"name": f"gpu-{gpu}", "counters": {"parts": {"value": "4"}}} for gpu in range(gpus)]
        groups.append({"sharedCounters": sets})
    else:
        for group in groups:
            for device in group["devices"]:
                del device["consumesCounters"]
    names = draw(st.permutations(range(len(groups))))
    count = len(groups) + (draw(st.integers(0, 19)) == 0)
    return [
        {
            "metadata": {"name": f"{names[i]}-{node}"},
            "spec": {
                "driver": DRIVER,
                "nodeName": node,
                "pool": {"name": node, "generation": 1, "resourceSliceCount": count},
                **group,
            },
        }
        for i, group in enumerate(groups)
    ]


@st.composite
def _exact(draw: st.DrawFn, *, sub: bool) -> dict[str, Any]:
    every = draw(st.integers(0, 9)) == 0
    return _clean(
        {
            "deviceClassName": "gpu",
            "allocationMode": "All" if every else "ExactCount",
            "count": None if every else draw(st.integers(1, 4)),
            "selectors": [
                {"cel": {"expression": text}} for text in draw(st.lists(st.sampled_from(_SELECTORS), max_size=1))
            ],
            "tolerations": draw(_maybe(st.lists(_TOLERATION, max_size=2), 3)),
            "adminAccess": draw(_maybe(st.just(value=True), 8)) if not sub else None,
            "capacity": draw(
                _maybe(st.sampled_from([{"requests": {"memory": v}} for v in ("3Gi", "12Gi", "40Gi")]), 4)
            ),
        }
    )


@st.composite
def _claim(draw: st.DrawFn, index: int) -> dict[str, Any]:
    requests: list[dict[str, Any]] = []
    for i in range(draw(st.integers(1, 3))):
        if draw(st.integers(0, 3)) == 0:
            subs = [{"name": f"alt-{k}", **draw(_exact(sub=True))} for k in range(draw(st.integers(1, 3)))]
            requests.append({"name": f"req-{i}", "firstAvailable": subs})
        else:
            requests.append({"name": f"req-{i}", "exactly": draw(_exact(sub=False))})
    names = [item["name"] for item in requests]
    constraint: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
        {
            st_name: st.sampled_from(_ATTRIBUTES)
            for st_name in [draw(st.sampled_from(["matchAttribute", "distinctAttribute"]))]
        },
        optional={"requests": st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True)},
    )
    config = st.fixed_dictionaries(
        {"opaque": st.just({"driver": DRIVER, "parameters": {"a": 1}})},
        optional={"requests": st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True)},
    )
    devices = {
        "requests": requests,
        "constraints": draw(st.lists(constraint, max_size=2)),
        "config": draw(st.lists(config, max_size=2)),
    }
    return {
        "metadata": {"name": f"claim-{index}", "namespace": "default", "uid": f"claim-{index}"},
        "spec": {"devices": _clean(devices)},
    }


@st.composite
def allocation_cases(draw: st.DrawFn) -> dict[str, Any]:
    """A question: features, a node, classes, slices, claims, and what is allocated already."""
    slices = [item for node in NODES for item in draw(_node_slices(node))]
    devices = [
        ([DRIVER, item["spec"]["pool"]["name"], device["name"]], device)
        for item in slices
        for device in item["spec"].get("devices", [])
    ]
    held = draw(st.lists(st.sampled_from(devices), max_size=4, unique_by=lambda row: tuple(row[0])))
    shared = [ref for ref, device in held if device.get("allowMultipleAllocations")]
    selectors = [{"cel": {"expression": f'device.driver == "{DRIVER}"'}}]
    off = draw(st.sets(st.sampled_from(_FEATURES), max_size=1)) if draw(st.integers(0, 4)) == 0 else set()
    return {
        "name": "drawn",
        "channel": "incubating",
        "features": {name: name not in off for name in _FEATURES},
        "node": {"metadata": {"name": NODES[0], "labels": {}}},
        "classes": [{"metadata": {"name": "gpu"}, "spec": {"selectors": selectors}}],
        "slices": draw(st.permutations(slices)),
        "claims": [draw(_claim(i)) for i in range(draw(st.integers(1, 2)))],
        "allocatedDevices": [ref for ref, device in held if not device.get("allowMultipleAllocations")],
        "sharedDeviceIDs": [
            {"id": ref, "shareID": f"{i:08x}-0000-4000-8000-000000000000"} for i, ref in enumerate(shared)
        ],
        "aggregatedCapacity": [{"id": ref, "capacity": {"memory": "4Gi"}} for ref in shared],
    }

"""The manifests of docs/examples, by the scheduler's rules: where they fit, what they get, and where not and why."""

import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from amdgpu_dra.core.admission import judge
from amdgpu_dra.core.allocate import Features
from amdgpu_dra.core.devices import ATTRIBUTES, STATIC, Layout
from amdgpu_dra.core.explain import Cause, Explanation, Question, Verdict, explain, find_claim, read_claim, read_cluster
from amdgpu_dra.core.slices import DRIVER
from amdgpu_dra.testing.cluster import Object, claim, exactly, held, slices

FOLDER = Path("docs/examples")
CLASSES = [
    item
    for item in yaml.safe_load_all(Path("charts/testdata/golden/defaults.yaml").read_text())
    if item and item["kind"] == "DeviceClass"
]
NODE = "node-0"
WHOLE, PART = "amdgpu", "amdgpu-partition"
NUMA, ROOT, PARENT = "resource.kubernetes.io/numaNode", "resource.kubernetes.io/pcieRoot", "parentPciBusID"
DYNAMIC = Layout(dynamic=True)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A node on which a claim is tried: a fleet, how its devices are listed, and which of them are not held."""

    fleet: str
    layout: Layout = STATIC
    free: Callable[[Object], bool] = lambda _: True

    def slices(self) -> list[Object]:
        """The slices of the node."""
        return slices(self.fleet, NODE, layout=self.layout)

    def devices(self) -> dict[str, dict[str, object]]:
        """Device -> attributes."""
        devices = [device for item in self.slices() for device in item["spec"].get("devices", [])]
        return {item["name"]: {n: next(iter(v.values())) for n, v in item["attributes"].items()} for item in devices}


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What an example says of itself.

    Attributes:
        on: where it fits.
        kinds: of the devices that it gets there.
        alike, apart: the attribute in which all of them agree, or no two of them do.
        not_on: where it does not fit, and why.
    """

    on: Case
    kinds: tuple[str, ...]
    alike: str = ""
    apart: str = ""
    not_on: Case
    cause: Cause


def _first_cut_gpu(device: Object) -> bool:
    return bool(device["parentPciBusID"] == "0000:05:00.0")


_ONE = Promise(on=Case(fleet="mi250x-8"), kinds=(WHOLE,), not_on=Case(fleet="mi300x-8-cpx"), cause=Cause.CLASS_SELECTOR)
PROMISES = {
    "one-gpu": _ONE,
    "shared-by-two-containers": _ONE,
    "shared-by-two-pods": _ONE,
    "extended-resource": Promise(
        on=Case(fleet="mi300x-8-mixed"),
        kinds=(WHOLE,),
        not_on=Case(fleet="mi300x-8-mixed", free=lambda device: device["type"] == PART),
        cause=Cause.CLASS_SELECTOR,
    ),
    "numa-pair": Promise(
        on=Case(fleet="mi250x-8"),
        kinds=(WHOLE, WHOLE),
        alike=NUMA,
        not_on=Case(fleet="mi300a-4"),
        cause=Cause.MATCH,
    ),
    "same-pcie-root": Promise(
        on=Case(fleet="mi250x-8"),
        kinds=(WHOLE, WHOLE),
        alike=ROOT,
        not_on=Case(fleet="mi300x-8-spx"),
        cause=Cause.MATCH,
    ),
    "partitions-of-one-gpu": Promise(
        on=Case(fleet="mi300x-8-mixed"),
        kinds=(PART,) * 4,
        alike=PARENT,
        not_on=Case(fleet="mi300x-8-cpx", free=lambda device: device["partitionIndex"] in {0, 1, 2}),
        cause=Cause.MATCH,
    ),
    "partitions-of-different-gpus": Promise(
        on=Case(fleet="mi300x-8-mixed"),
        kinds=(PART, PART),
        apart=PARENT,
        not_on=Case(fleet="mi300x-8-cpx", free=_first_cut_gpu),
        cause=Cause.DISTINCT,
    ),
    "dynamic-partition": Promise(
        on=Case(fleet="mi300x-8-spx", layout=DYNAMIC),
        kinds=(PART,),
        not_on=Case(fleet="mi300x-8-spx"),
        cause=Cause.REQUEST_SELECTOR,
    ),
    "partition-else-whole-gpu": Promise(
        on=Case(fleet="mi300x-8-mixed"),
        kinds=(PART,),
        not_on=Case(fleet="mi300x-8-mixed", free=lambda _: False),
        cause=Cause.ALLOCATED,
    ),
}
each_example = pytest.mark.parametrize("name", sorted(PROMISES))


def _objects(name: str) -> list[Any]:
    return list(yaml.safe_load_all((FOLDER / f"{name}.yaml").read_text()))


def _pods(name: str) -> list[Any]:
    return [item for item in _objects(name) if item["kind"] == "Pod"]


def _claim(name: str) -> Object:
    """The example's claim; for an extended resource the one that the scheduler makes."""
    claims = [item for item in _objects(name) if item["kind"].startswith("ResourceClaim")]
    if claims:
        return dict(find_claim(claims))
    (pod,) = _pods(name)
    ((resource, count),) = pod["spec"]["containers"][0]["resources"]["limits"].items()
    (of_class,) = [item for item in CLASSES if item["spec"].get("extendedResourceName") == resource]
    return dict(find_claim([claim(exactly("container-0-request-0", of_class["metadata"]["name"], count=count))]))


def _ask(wanted: Object, case: Case) -> Explanation:
    taken = [(NODE, name) for name, device in case.devices().items() if not case.free(device)]
    cluster = read_cluster([*case.slices(), *CLASSES, held("others", *taken)], wanted, Features())
    return explain(Question(cluster=cluster, claim=read_claim(wanted)))


def _requests(wanted: Object) -> Iterator[Any]:
    for request in wanted["spec"]["devices"]["requests"]:
        yield from [request["exactly"]] if "exactly" in request else request["firstAvailable"]


def test_the_page_lists_every_example() -> None:
    """Each file has a row in the folder's README that names the fleet on which it can be tried, and a promise here."""
    page = (FOLDER / "README.md").read_text()
    rows = dict(re.findall(r"^\| \[[\w-]+\.yaml\]\(([\w-]+)\.yaml\) (.+)$", page, re.MULTILINE))

    assert sorted(rows) == sorted(path.stem for path in FOLDER.glob("*.yaml")) == sorted(PROMISES)
    for name, row in rows.items():
        assert f"`{PROMISES[name].on.fleet}`" in row, name


@each_example
def test_it_is_complete(name: str) -> None:
    """Every claim that its pods name is in the file, each container asks for a GPU, and images are public ones."""
    made = {item["metadata"]["name"] for item in _objects(name) if item["kind"] != "Pod"}
    named = set()
    for pod in _pods(name):
        of_pod = pod["spec"].get("resourceClaims", [])
        named |= {item.get("resourceClaimName") or item["resourceClaimTemplateName"] for item in of_pod}
        for container in pod["spec"]["containers"]:
            asked = [item["name"] for item in container["resources"].get("claims", [])]
            assert asked == [item["name"] for item in of_pod]
            assert asked or container["resources"]["limits"]
            assert re.fullmatch(r"docker\.io/rocm/[\w-]+:\d[\w.-]*", container["image"])
    assert named == made
    assert _pods(name)


@each_example
def test_it_asks_for_what_is_there(name: str) -> None:
    """Its classes are the chart's, its constraints compare what the driver publishes, and the webhook has no remark."""
    wanted = _claim(name)
    classes = {item["metadata"]["name"] for item in CLASSES}
    published = {row.name if "/" in row.name else f"{DRIVER}/{row.name}" for row in ATTRIBUTES}
    for constraint in wanted["spec"]["devices"].get("constraints", []):
        assert (constraint.get("matchAttribute") or constraint["distinctAttribute"]) in published
    assert {request["deviceClassName"] for request in _requests(wanted)} <= classes
    assert _remarks(wanted) == []


def _remarks(wanted: Object) -> list[str]:
    resource = {"group": "resource.k8s.io", "version": "v1", "resource": "resourceclaims"}
    found = judge({"operation": "CREATE", "resource": resource, "object": wanted})
    return [*map(str, found.errors), *found.warnings]


def test_the_webhook_would_remark() -> None:
    """A name that the driver never publishes is told, so that its silence about the examples says something."""
    spoiled = copy.deepcopy(_claim("partitions-of-one-gpu"))
    (request,) = _requests(spoiled)
    request["selectors"][0]["cel"]["expression"] = "device.attributes['gpu.amd.com'].kind == 'amdgpu-partition'"
    assert any("kind" in text for text in _remarks(spoiled))


@each_example
def test_it_gets_what_it_says(name: str) -> None:
    """On its fleet it fits, and its devices are of the kind, and as near to or far from each other, as it says."""
    promise = PROMISES[name]
    found = _ask(_claim(name), promise.on)
    assert found.verdict is Verdict.FITS, found.rows
    every = promise.on.devices()
    devices = [every[device.partition("/")[2]] for _, device in found.gets]
    assert tuple(device["type"] for device in devices) == promise.kinds
    if promise.alike:
        assert len({device[promise.alike] for device in devices}) == 1
    if promise.apart:
        assert len({device[promise.apart] for device in devices}) == len(devices)


@each_example
def test_it_is_refused_where_it_cannot_be(name: str) -> None:
    """Where what it promises cannot be had it waits, and `explain` names that as a cause."""
    promise = PROMISES[name]
    found = _ask(_claim(name), promise.not_on)
    assert found.verdict is Verdict.REFUSED
    assert promise.cause in {row.cause for row in found.rows}


def test_the_second_choice() -> None:
    """With no partition free the prioritized list takes a whole GPU; with neither it is refused."""
    wanted = _claim("partition-else-whole-gpu")
    case = Case(fleet="mi300x-8-mixed", free=lambda device: device["type"] == WHOLE)
    ((request, device),) = _ask(wanted, case).gets
    assert request == "gpu/whole"
    assert case.devices()[device.partition("/")[2]]["type"] == WHOLE
    ((request, _),) = _ask(wanted, PROMISES["partition-else-whole-gpu"].on).gets
    assert request == "gpu/partition"


@pytest.mark.parametrize("layout", [STATIC, DYNAMIC], ids=["static", "dynamic"])
def test_the_extended_resource_is_a_whole_gpu(layout: Layout) -> None:
    """One class has it, and it selects every whole GPU and no partition, whether these exist or could be made."""
    assert len([item for item in CLASSES if "extendedResourceName" in item["spec"]]) == 1
    for fleet in ("mi300x-8-mixed", "mi300x-8-spx"):
        case = Case(fleet=fleet, layout=layout)
        whole = [name for name, device in case.devices().items() if device["type"] == WHOLE]
        wanted = _claim("extended-resource")
        (request,) = _requests(wanted)
        request["count"] = len(whole)
        assert sorted(device.partition("/")[2] for _, device in _ask(wanted, case).gets) == sorted(whole)
        request["count"] = len(whole) + 1
        assert _ask(wanted, case).verdict is Verdict.REFUSED

"""What users read, for the commonest causes, on devices of real fleets: golden files."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from amdgpu_dra.api.reasons import Reason
from amdgpu_dra.core.allocate import Features
from amdgpu_dra.core.devices import Layout, Listing, list_devices
from amdgpu_dra.core.explain import (
    MOST_LINES,
    Explanation,
    Question,
    Verdict,
    explain,
    find_claim,
    read_claim,
    read_cluster,
    read_held,
    render_text,
)
from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.core.gpu import parse
from amdgpu_dra.edge.faketree import read_fleet
from amdgpu_dra.testing.cluster import SPX, Object, claim, exactly, held, slices, slices_of

GOLDEN = Path("python/amdgpu_dra/core/explain/testdata")
WHOLE = "whole.gpu.amd.com"
OWN = "device.attributes['gpu.amd.com']"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A claim and what else the cluster has."""

    claim: Object
    objects: list[Object] = field(default_factory=list)


def _names(fleet: str, layout: Layout = Layout()) -> list[str]:  # noqa: B008 (frozen)
    return [device["name"] for item in slices(fleet, "n", layout=layout) for device in item["spec"].get("devices", [])]


def _all_held() -> Case:
    """Every GPU of two nodes, each node's by a claim of its own but for one."""
    names = _names(SPX)
    holders = [held(f"job-{node}", *((f"node-{node}", name) for name in names[1:])) for node in range(2)]
    holders.append(held("notebook", *((f"node-{node}", names[0]) for node in range(2))))
    return Case(claim=claim(exactly()), objects=[*slices(SPX, "node-0", "node-1"), *holders])


def _wrong_class() -> Case:
    return Case(claim=claim(exactly("gpus", WHOLE)), objects=slices("mi300x-8-cpx", "node-0"))


def _wrong_model() -> Case:
    request = exactly("gpus", "gpu.amd.com", f"{OWN}.model == 'MI355X'")
    return Case(claim=claim(request), objects=slices(SPX, "node-0", "node-1"))


def _attribute_missing() -> Case:
    constraint = {"matchAttribute": "gpu.amd.com/xgmiHives"}
    return Case(claim=claim(exactly(count=2), constraints=[constraint]), objects=slices(SPX, "node-0"))


def _tainted() -> Case:
    inventory = parse(render(read_fleet("mi300x-8-cpx")))
    blocked = {gpu.address: str(Reason.SWITCH_BLOCKED) for gpu in inventory.gpus}
    listing = list_devices(inventory, Layout(dynamic=True, blocked=blocked))
    return Case(claim=claim(exactly("gpus", WHOLE)), objects=slices_of(listing, ["node-0"]))


def _counters() -> Case:
    """One CPX partition of every GPU is held, whole GPUs are wanted."""
    layout = Layout(dynamic=True)
    firsts = [name for name in _names(SPX, layout) if name.endswith("-cpx-0")]
    holders = [held(f"slice-{i}", ("node-0", name)) for i, name in enumerate(firsts)]
    return Case(claim=claim(exactly("gpus", WHOLE)), objects=[*slices(SPX, "node-0", layout=layout), *holders])


def _no_match() -> Case:
    constraint = {"matchAttribute": "resource.kubernetes.io/numaNode"}
    return Case(claim=claim(exactly(count=6), constraints=[constraint]), objects=slices(SPX, "node-0", "node-1"))


def _too_many_wanted() -> Case:
    objects = [*slices(SPX, "node-0"), *slices("mi300a-4", "node-1")]
    return Case(claim=claim(exactly(count=16)), objects=objects)


def _too_little_memory() -> Case:
    request = exactly(capacity={"requests": {"memory": "256Gi"}})
    return Case(claim=claim(request), objects=[*slices(SPX, "node-0"), *slices("mi300a-4", "node-1")])


def _missing_key() -> Case:
    request = exactly("gpus", "gpu.amd.com", f"{OWN}.modle == 'MI300X'")
    return Case(claim=claim(request), objects=slices(SPX, "node-0"))


def _no_hive() -> Case:
    """An attribute that some devices publish, read without asking whether it is there."""
    request = exactly("gpus", "gpu.amd.com", f"{OWN}.xgmiHive != ''")
    return Case(claim=claim(request), objects=[*slices(SPX, "node-0"), *slices("w7900-4", "node-1")])


def _compile_error() -> Case:
    request = exactly("gpus", "gpu.amd.com", f"{OWN}.model = 'MI300X'")
    return Case(claim=claim(request), objects=slices(SPX, "node-0", "node-1"))


def _incomplete() -> Case:
    layout = Layout(dynamic=True)
    request = exactly(allocationMode="All")
    return Case(claim=claim(request), objects=slices(SPX, "node-0", "node-1", layout=layout)[1:])


def _no_class() -> Case:
    return Case(claim=claim(exactly("gpus", "gpu.amd.con")), objects=slices(SPX, "node-0"))


def _all_of_too_many() -> Case:
    return Case(claim=claim(exactly(allocationMode="All")), objects=slices(SPX, "node-0", layout=Layout(dynamic=True)))


def _fits() -> Case:
    return Case(claim=claim(exactly(count=2)), objects=slices(SPX, "node-0", "node-1"))


def _allocated() -> Case:
    mine = held("train", ("node-0", "gpu-0000-05-00-0"))
    return Case(claim=claim(exactly()), objects=[*slices(SPX, "node-0"), mine])


def _no_slices() -> Case:
    return Case(claim=claim(exactly()))


def _node_without_slices() -> Case:
    """One node publishes nothing, and one an empty slice."""
    nodes: list[Object] = [{"kind": "Node", "metadata": {"name": f"node-{i}"}} for i in range(3)]
    request = exactly("gpus", "gpu.amd.com", f"{OWN}.type == 'apu'")
    empty = slices_of(Listing(devices=(), withheld=()), ["node-2"])
    return Case(claim=claim(request), objects=[*slices(SPX, "node-0"), *empty, *nodes])


def large_cluster() -> list[Object]:
    """Some 500 nodes of eight GPUs: busy, partitioned, of other models, blocked."""
    objects: list[Object] = []
    by_fleet = {
        SPX: range(200),
        "mi300x-8-mixed": range(200, 300),
        "mi350x-8-spx": range(300, 380),
        "mi325x-8": range(380, 440),
        "mi210-8": range(440, 500),
    }
    for fleet, numbers in by_fleet.items():
        nodes = [f"node-{number:03}" for number in numbers]
        objects += slices(fleet, *nodes)
        names = _names(fleet)
        for number, node in zip(numbers, nodes, strict=True):
            taken = names[: number % 9]
            if taken:
                objects.append(held(f"job-{number:03}", *((node, name) for name in taken)))
    return objects + _dynamic_nodes()


def _dynamic_nodes() -> list[Object]:
    """Five nodes whose GPUs all have a partition in use, five that do not switch, one of which a slice is missing."""
    layout, inventory = Layout(dynamic=True), parse(render(read_fleet("mi300x-8-cpx")))
    blocked = Layout(dynamic=True, blocked={gpu.address: str(Reason.SWITCH_BLOCKED) for gpu in inventory.gpus})
    objects = slices_of(list_devices(inventory, blocked), [f"node-{number}" for number in range(500, 505)])
    firsts = [name for name in _names(SPX, layout) if name.endswith("-cpx-0")]
    nodes = [f"node-{number}" for number in range(505, 510)]
    objects += slices(SPX, *nodes, layout=layout)
    objects += [held(f"slices-{node}", *((node, name) for name in firsts)) for node in nodes]
    return objects + slices(SPX, "node-510", layout=layout)[1:]


def _large() -> Case:
    request = exactly("gpus", WHOLE, f"{OWN}.model in ['MI300X', 'MI325X', 'MI350X']", count=8)
    constraint = {"matchAttribute": "resource.kubernetes.io/numaNode"}
    return Case(claim=claim(request, constraints=[constraint]), objects=large_cluster())


def _many_reasons() -> Case:
    requests = [exactly(f"r{i:02}", "gpu.amd.com", f"{OWN}.xccCount > {100 + i}") for i in range(30)]
    return Case(claim=claim(*requests), objects=slices(SPX, "node-0"))


def _alternatives() -> Case:
    """Whole GPU or else a partition, and nothing is free."""
    either = [
        {"name": "whole", "deviceClassName": WHOLE},
        {"name": "part", "deviceClassName": "gpu.amd.com"},
    ]
    holder = held("job", *(("node-0", name) for name in _names(SPX)))
    request: Object = {"name": "gpus", "firstAvailable": either}
    return Case(claim=claim(request), objects=[*slices(SPX, "node-0"), holder])


CASES: dict[str, Callable[[], Case]] = {
    "all-held": _all_held,
    "all-of-too-many": _all_of_too_many,
    "allocated": _allocated,
    "alternatives": _alternatives,
    "attribute-missing": _attribute_missing,
    "compile-error": _compile_error,
    "counters": _counters,
    "fits": _fits,
    "incomplete": _incomplete,
    "large": _large,
    "many-reasons": _many_reasons,
    "missing-key": _missing_key,
    "no-class": _no_class,
    "no-hive": _no_hive,
    "no-match": _no_match,
    "no-slices": _no_slices,
    "node-without-slices": _node_without_slices,
    "tainted": _tainted,
    "too-little-memory": _too_little_memory,
    "too-many-wanted": _too_many_wanted,
    "wrong-class": _wrong_class,
    "wrong-model": _wrong_model,
}


def ask(case: Case, objects: Iterable[Object] | None = None) -> Explanation:
    """The answer to a case, with its objects in the order that is given."""
    wanted, others = find_claim([case.claim]), list(case.objects if objects is None else objects)
    cluster = read_cluster(others, wanted, Features())
    return explain(Question(cluster=cluster, claim=read_claim(wanted), held=read_held(wanted, others)))


@pytest.mark.parametrize("name", CASES)
def test_the_text_is_the_golden_one(name: str) -> None:
    """Each case prints its golden file, in order and reversed; AMDGPU_DRA_GOLDEN names a folder to write them to."""
    case = CASES[name]()
    text = "\n".join(render_text(ask(case))) + "\n"
    if folder := os.environ.get("AMDGPU_DRA_GOLDEN"):
        (Path(folder) / f"{name}.txt").write_text(text)

    assert (GOLDEN / f"{name}.txt").read_text() == text
    assert "\n".join(render_text(ask(case, reversed(case.objects)))) + "\n" == text
    assert text.count("\n") <= MOST_LINES


def test_every_golden_file_has_its_case() -> None:
    """No file is left over."""
    assert sorted(path.stem for path in GOLDEN.glob("*.txt")) == sorted(CASES)


@pytest.mark.parametrize(
    ("expression", "notes"),
    [
        (
            f"{OWN}.?modle.orValue('') == 'MI300X'",
            ["no device publishes gpu.amd.com/modle; did you mean gpu.amd.com/m"],
        ),
        (f"{OWN}.?somethingElse.orValue('') == ''", []),
        ("device.attributes['other.example'].?x.orValue('') == ''", []),
        ("device.capacity['gpu.amd.com'].memroy.isGreaterThan(quantity('1'))", ["did you mean gpu.amd.com/memory?"]),
        (f"{OWN}.model == 'MI300X'", []),
        ("device.attributes['gpu.amd.co'].model == 'MI300X'", ["did you mean gpu.amd.com/model?"]),
        ("lists.range(1000).all(x, lists.range(1000).all(y, x + y >= 0))", ["too costly"]),
    ],
)
def test_notes_are_about_the_claim(expression: str, notes: list[str]) -> None:
    """A name that no device publishes is told, with the nearest one; one that is asked for with care only if close."""
    case = Case(claim=claim(exactly("gpus", "gpu.amd.com", expression)), objects=slices(SPX, "node-0"))
    found = ask(case).notes

    assert len(found) == len(notes)
    assert all(part in note for part, note in zip(notes, found, strict=True))


def test_an_error_on_one_node_is_told_beside_the_nodes_that_fit() -> None:
    """A runtime error of any node ends the scheduler's attempt, so the claim does not fit although a node could."""
    found = ask(_no_hive())

    assert (found.verdict, found.failing, found.fitting) == (Verdict.ERROR, 1, 1)

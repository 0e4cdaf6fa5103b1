"""Objects as users have them: templates, lists, defaults that are not filled in, and mistakes."""

from typing import Any

import pytest

from amdgpu_dra.api.errors import UsageError
from amdgpu_dra.api.resource import VERSIONS, from_v1
from amdgpu_dra.core.allocate import Features
from amdgpu_dra.core.explain import (
    Question,
    Verdict,
    explain,
    find_claim,
    pick_node,
    read_claim,
    read_cluster,
    read_held,
)
from amdgpu_dra.testing.cluster import SPX, Object, claim, exactly, held, slices


def _template(inner: Object) -> Object:
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaimTemplate",
        "metadata": {"name": "of-a-pod"},
        "spec": {"spec": inner["spec"]},
    }


def _verdict(wanted: Object, *objects: Object) -> Verdict:
    raw = find_claim([wanted])
    cluster = read_cluster(objects, raw, Features())
    return explain(Question(cluster=cluster, claim=read_claim(raw), held=read_held(raw, objects))).verdict


def test_a_template_is_a_claim() -> None:
    """Its claim is asked, under the template's name and the namespace that kubectl takes."""
    raw = find_claim([_template(claim(exactly()))])

    assert str(read_claim(raw)) == "default/of-a-pod"
    assert _verdict(_template(claim(exactly())), *slices(SPX, "node")) is Verdict.FITS


@pytest.mark.parametrize("version", VERSIONS)
def test_objects_of_every_version_are_read(version: str) -> None:
    """What `kubectl get -o json` prints of an older cluster is explained as that of v1."""
    wanted, objects = from_v1(claim(exactly(count=8)), version), [from_v1(item, version) for item in slices(SPX, "n")]
    too_many = from_v1(_template(claim(exactly(count=9))), version)

    assert _verdict(wanted, *objects) is Verdict.FITS
    assert _verdict(too_many, *objects) is not Verdict.FITS


def test_defaults_are_filled_in() -> None:
    """Mode and count, also of alternatives, are those that the API server would set; the input stays as it is."""
    either: Object = {"name": "any", "firstAvailable": [{"name": "a", "deviceClassName": "gpu.amd.com"}]}
    given = claim(exactly(), either, exactly("every", allocationMode="All"))
    first, second, third = read_claim(find_claim([given])).requests

    assert [(item.alternatives[0].mode, item.alternatives[0].count) for item in (first, second, third)] == [
        ("ExactCount", 1),
        ("ExactCount", 1),
        ("All", 0),
    ]
    assert given == claim(exactly(), either, exactly("every", allocationMode="All"))


def test_one_of_several_claims_is_named() -> None:
    """Without a name several are refused with their names; a name that is not there too."""
    both = [claim(exactly(), name="a"), claim(exactly(), name="b")]

    assert find_claim(both, "b")["metadata"]["name"] == "b"
    with pytest.raises(UsageError, match=r"found a, b; name one by --name"):
        find_claim(both)
    with pytest.raises(UsageError, match=r"named c, found a, b"):
        find_claim(both, "c")
    with pytest.raises(UsageError, match="found none; give a file"):
        find_claim(slices(SPX, "node"))


def test_the_claims_own_devices_do_not_stand_in_its_way() -> None:
    """What the cluster says the claim itself has is told as that; another claim of the name elsewhere is another."""
    mine = held("train", ("node", "gpu-0000-05-00-0"))
    elsewhere = mine | {"metadata": {"name": "train", "namespace": "other"}}

    assert _verdict(claim(exactly()), *slices(SPX, "node"), mine) is Verdict.ALLOCATED
    assert _verdict(claim(exactly(count=8)), *slices(SPX, "node"), elsewhere) is Verdict.REFUSED


def test_given_classes_replace_the_charts() -> None:
    """With any DeviceClass given, one that is not given is missing."""
    other = {"kind": "DeviceClass", "metadata": {"name": "mine"}, "spec": {}}

    assert _verdict(claim(exactly("gpus", "mine")), *slices(SPX, "node"), other) is Verdict.FITS
    assert _verdict(claim(exactly()), *slices(SPX, "node"), other) is Verdict.ERROR


def test_nodes_are_those_of_slices_unless_given() -> None:
    """A cluster without Node objects has the nodes that slices name; slices for all nodes need Node objects."""
    objects = slices(SPX, "b", "a")
    (shared,) = slices(SPX, "c")
    del shared["spec"]["nodeName"]
    shared["spec"]["allNodes"] = True
    raw = find_claim([claim(exactly())])

    assert [node.name for node in read_cluster(objects, raw, Features()).nodes] == ["a", "b"]
    with pytest.raises(UsageError, match="give the nodes with --objects"):
        read_cluster([shared], raw, Features())
    node = {"kind": "Node", "metadata": {"name": "n", "labels": {"zone": "1"}}}
    assert _verdict(claim(exactly()), shared, node) is Verdict.FITS


def test_a_node_that_is_not_there_is_refused_with_the_nearest() -> None:
    """The message names a node that is there."""
    raw = find_claim([claim(exactly())])
    nodes = read_cluster(slices(SPX, "gpu-node-1", "other"), raw, Features()).nodes

    assert pick_node(nodes, "other") == (nodes[1],)
    with pytest.raises(UsageError, match=r"--node: expected one of 2 nodes, such as gpu-node-1, found gpu-node-7"):
        pick_node(nodes, "gpu-node-7")


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"apiVersion": "resource.k8s.io/v1alpha3", "kind": "ResourceSlice"}, r"get resourceslices\.v1\.resource"),
        ({"kind": "ResourceSlice", "metadata": {"name": "s"}, "spec": {"devices": 1}}, r"ResourceSlice s: .*a list"),
        ({"kind": "Node", "metadata": {"name": 5}}, r"Node 5: .*metadata\.name: expected a string"),
        (
            {"kind": "ResourceClaim", "metadata": {"name": "c"}, "status": {"allocation": 1}},
            r"ResourceClaims: .*allocation",
        ),
    ],
)
def test_a_wrong_object_is_named(wrong: Any, match: str) -> None:
    """Which object, which field, what was found and what to do."""
    with pytest.raises(UsageError, match=match):
        read_cluster([wrong], find_claim([claim(exactly())]), Features())


def test_a_wrong_claim_is_named() -> None:
    """Also where the defaults would be filled in."""
    for spec in (1, {"devices": {"requests": 5}}, {"devices": {"requests": [{"name": "r"}]}}):
        with pytest.raises(UsageError, match="ResourceClaim c: "):
            read_claim(find_claim([{"kind": "ResourceClaim", "metadata": {"name": "c"}, "spec": spec}]))

"""Kubernetes objects (JSON of any served version, in any order) -> a claim and the cluster that it is asked of."""

import copy
import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from amdgpu_dra.api.errors import UsageError
from amdgpu_dra.api.resource import GROUP, VERSIONS, to_v1
from amdgpu_dra.core.allocate import (
    AllocatedState,
    Claim,
    DecodeError,
    Features,
    Node,
    Slice,
    decode_claim,
    decode_class,
    decode_node,
    decode_slice,
)
from amdgpu_dra.core.explain.classes import CLASSES
from amdgpu_dra.core.explain.explain import results
from amdgpu_dra.core.explain.model import Cluster

type Raw = Mapping[str, Any]

_CLAIMS = ("ResourceClaim", "ResourceClaimTemplate")
_FROM_CLUSTER = "give objects as `kubectl get KIND -o json` prints them"


def find_claim(objects: Sequence[Raw], name: str | None = None) -> Raw:
    """The one ResourceClaim, or claim of a ResourceClaimTemplate, with what the API server would fill in.

    Raises:
        UsageError: there is none, none of that name, or several and no name.
    """
    claims = [item for item in objects if item.get("kind") in _CLAIMS]
    names = [_name(item) for item in claims]
    chosen = [item for item in claims if name is None or _name(item) == name]
    if len(chosen) != 1:
        raise UsageError(
            "--claim",
            expected="one ResourceClaim or ResourceClaimTemplate" + (f" named {name}" if name else ""),
            found=", ".join(names) or "none",
            action="name one by --name" if names else "give a file that holds one",
        )
    return _complete(chosen[0])


def read_claim(raw: Raw) -> Claim:
    """The claim's wishes.

    Raises:
        UsageError: it is not of the form that the API server would take.
    """
    return _decode(raw, decode_claim)


def read_held(raw: Raw, objects: Iterable[Raw]) -> tuple[tuple[str, str], ...]:
    """Request and device of what the claim has, by its own status or by that of the same claim in the cluster."""
    for item in (raw, *(other for other in objects if _is_same(raw, other))):
        status = item.get("status")
        if isinstance(status, Mapping) and status.get("allocation"):
            return tuple(results(status["allocation"]))
    return ()


def read_cluster(objects: Iterable[Raw], claim: Raw, features: Features) -> Cluster:
    """What the objects tell of the cluster; kinds that do not matter are passed over.

    Nodes are those that slices name, if there is no Node object. Classes are the chart's, if there is no other.
    What the claim itself holds is left out.

    Raises:
        UsageError: an object is not of the form that the API server would take.
    """
    found: dict[str, list[Raw]] = {}
    for item in objects:
        found.setdefault(str(item.get("kind")), []).append(_lift(item))
    slices = tuple(_decode(item, decode_slice) for item in found.get("ResourceSlice", ()))
    others = sorted((item for item in found.get("ResourceClaim", ()) if not _is_same(claim, item)), key=_name)
    nodes = tuple(_decode(item, decode_node) for item in found.get("Node", ())) or _nodes_of(slices)
    if slices and not nodes:
        raise UsageError(
            "nodes",
            expected="Node objects, or slices that name their node",
            found="slices that select nodes otherwise",
            action="give the nodes with --objects",
        )
    return Cluster(
        features=features,
        slices=slices,
        classes=tuple(_decode(item, decode_class) for item in found.get("DeviceClass", CLASSES)),
        nodes=nodes,
        state=_state(others),
    )


def pick_node(nodes: Sequence[Node], name: str) -> tuple[Node, ...]:
    """The node of that name.

    Raises:
        UsageError: there is none; says which is nearest.
    """
    chosen = tuple(node for node in nodes if node.name == name)
    if not chosen:
        names = sorted(node.name for node in nodes)
        near = difflib.get_close_matches(name, names, n=1)
        raise UsageError(
            "--node",
            expected=f"one of {len(names)} nodes" + (f", such as {(near or names)[0]}" if names else ""),
            found=name,
            action="name a node that has a slice or a Node object in the files",
        )
    return chosen


def _nodes_of(slices: Iterable[Slice]) -> tuple[Node, ...]:
    return tuple(Node(name=name) for name in sorted({item.placement.node_name or "" for item in slices} - {""}))


def _state(claims: Sequence[Raw]) -> AllocatedState:
    try:
        return AllocatedState.of_claims(claims)
    except DecodeError as error:
        raise _wrong("ResourceClaims", error) from None


def _decode[T](raw: Raw, decode: Callable[[Raw], T]) -> T:
    try:
        return decode(raw)
    except DecodeError as error:
        raise _wrong(f"{raw.get('kind', 'DeviceClass')} {_name(raw)}", error) from None


def _wrong(where: str, error: DecodeError) -> UsageError:
    return UsageError(
        where, expected="an object that the API server would take", found=str(error), action=_FROM_CLUSTER
    )


def _lift(item: Raw) -> Raw:
    """The object as v1 has it. Raises UsageError if it is of a version that nobody serves."""
    group, _, version = str(item.get("apiVersion", "")).partition("/")
    if group != GROUP:
        return item
    if version not in VERSIONS:
        raise UsageError(
            f"{item.get('kind')} {_name(item)}",
            expected=f"{GROUP} in one of the versions {', '.join(VERSIONS)}",
            found=version,
            action=f"get it by `kubectl get {str(item.get('kind')).lower()}s.v1.{GROUP} -o json`",
        )
    return to_v1(item, version)


def _metadata(item: Raw) -> Raw:
    found = item.get("metadata")
    return found if isinstance(found, Mapping) else {}


def _name(item: Raw) -> str:
    return str(_metadata(item).get("name", ""))


def _is_same(claim: Raw, other: Raw) -> bool:
    """Whether the other is this claim as the cluster has it."""
    if other.get("kind") != "ResourceClaim" or claim.get("kind") != "ResourceClaim":
        return False
    return _name(claim) == _name(other) and _namespace(claim) == _namespace(other)


def _namespace(item: Raw) -> str:
    return str(_metadata(item).get("namespace") or "default")


def _complete(raw: Raw) -> Raw:
    """A template's claim, or the claim, with the defaults of the API server."""
    claim = copy.deepcopy(dict(_lift(raw)))
    if claim.get("kind") == "ResourceClaimTemplate":
        spec = claim.get("spec")
        claim["spec"] = spec.get("spec") if isinstance(spec, Mapping) else None
    claim["metadata"] = {"namespace": "default", **_metadata(claim)}
    for request in _dig(claim, "spec", "devices", "requests"):
        for exact in [request.get("exactly"), *_dig(request, "firstAvailable")]:
            if isinstance(exact, dict):
                _default(exact)
    return claim


def _default(exact: dict[str, Any]) -> None:
    exact["allocationMode"] = exact.get("allocationMode") or "ExactCount"
    if exact["allocationMode"] == "ExactCount":
        exact["count"] = exact.get("count") or 1


def _dig(raw: object, *path: str) -> list[dict[str, Any]]:
    """The objects of a list below; none where anything on the way is of another kind."""
    for name in path:
        raw = raw.get(name) if isinstance(raw, dict) else None
    return [item for item in raw if isinstance(item, dict)] if isinstance(raw, list) else []

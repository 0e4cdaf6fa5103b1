"""What was chosen -> AllocationResult (v1 JSON)."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from amdgpu_dra.core.allocate.errors import AllocationError
from amdgpu_dra.core.allocate.features import Features, Variant
from amdgpu_dra.core.allocate.model import Claim, Node, Requirement
from amdgpu_dra.core.allocate.placing import Placed
from amdgpu_dra.core.allocate.wanted import Context, Wanted

type Json = dict[str, object]


def render_results(
    context: Context,
    placed: Sequence[Sequence[Placed]],
    chosen: Sequence[Sequence[Wanted]],
    claims: Sequence[Claim],
    new_share: Callable[[], str],
) -> tuple[Json, ...]:
    """One AllocationResult for each claim; `new_share` gives the share IDs.

    Raises:
        AllocationError: a slice's node selector has several terms, which the API server refuses.
    """
    found = []
    for claim, devices, wanted in zip(claims, placed, chosen, strict=True):
        results = [_device(item, context.features, context.variant, new_share) for item in devices]
        part: Json = {"results": results} if results else {}
        if config := _configs(claim, wanted):
            part["config"] = config
        result: Json = {"devices": part}
        if (selector := _node_selector(claim, devices, context.node, context.variant)) is not None:
            result["nodeSelector"] = selector
        found.append(result)
    return tuple(found)


def _device(item: Placed, features: Features, variant: Variant, new_share: Callable[[], str]) -> Json:
    request, device = item.wanted.request, item.device
    found: Json = {
        "request": request.full_name,
        "driver": device.id.driver,
        "pool": device.id.pool,
        "device": device.id.device,
    }
    if item.wanted.admin:
        found["adminAccess"] = True
    if request.tolerations:
        found["tolerations"] = [toleration.raw for toleration in request.tolerations]
    if features.device_binding_and_status:
        if device.binding_conditions:
            found["bindingConditions"] = list(device.binding_conditions)
        if device.binding_failure_conditions:
            found["bindingFailureConditions"] = list(device.binding_failure_conditions)
    if item.shared:
        found["shareID"] = new_share()
        if item.amounts:
            found["consumedCapacity"] = {name: str(amount) for name, amount in item.amounts.items()}
    if variant.node_operations and device.skip_operations:
        found["skipNodeOperations"] = list(device.skip_operations)
    return found


def _configs(claim: Claim, wanted: Sequence[Wanted]) -> list[Json]:
    rows = _class_configs(wanted) + _claim_configs(claim, wanted)
    found = []
    for source, requests, config in rows:
        row: Json = {"source": source}
        if requests and not all(_names(item) & set(requests) for item in wanted):
            row["requests"] = requests
        found.append(row | {name: value for name, value in config.items() if name != "requests"})
    return found


type Row = tuple[str, list[str], Mapping[str, object]]


def _class_configs(wanted: Sequence[Wanted]) -> list[Row]:
    """The configurations of each class once, for every request that chose it."""
    rows: list[Row] = []
    users: dict[str, list[str]] = {}
    for item in wanted:
        name = item.device_class.name
        if name in users:
            users[name].append(item.request.full_name)
        else:
            users[name] = [item.request.full_name]
            rows += [("FromClass", users[name], config) for config in item.device_class.config]
    return rows


def _claim_configs(claim: Claim, wanted: Sequence[Wanted]) -> list[Row]:
    rows: list[Row] = []
    for config in claim.config:
        raw = config.get("requests")
        requests = [str(name) for name in raw] if isinstance(raw, list | tuple) else []
        if not requests or any(_names(item) & set(requests) for item in wanted):
            rows.append(("FromClaim", requests, config))
    return rows


def _names(item: Wanted) -> set[str]:
    """What a configuration may call the request by."""
    request = item.request
    return {request.parent or request.name, request.full_name}


def _node_selector(claim: Claim, devices: Iterable[Placed], node: Node, variant: Variant) -> Json | None:
    fields: list[Requirement] = []
    labels: list[Requirement] = []
    for item in devices:
        placement = item.device.placement
        if placement.node_name is not None or (item.device.binds_to_node and variant.shares):
            name = node.name if variant.shares else placement.node_name
            row = {"key": "metadata.name", "operator": "In", "values": [name]}
            return {"nodeSelectorTerms": [{"matchFields": [row]}]}
        terms = placement.selector or ()
        if len(terms) > 1:
            text = f"unsupported ResourceSlice.NodeSelector with {len(terms)} terms"
            raise AllocationError(f"create NodeSelector for claim {claim.name}: {text}")
        for term in terms:
            _add_new(fields, term.fields)
            _add_new(labels, term.labels)
    found: Json = {}
    if labels:
        found["matchExpressions"] = [_requirement(item) for item in labels]
    if fields:
        found["matchFields"] = [_requirement(item) for item in fields]
    return {"nodeSelectorTerms": [found]} if found else None


def _add_new(rows: list[Requirement], more: Iterable[Requirement]) -> None:
    for item in more:
        if not any(_same(item, row) for row in rows):
            rows.append(item)


def _same(one: Requirement, other: Requirement) -> bool:
    return (one.key, one.operator, set(one.values)) == (other.key, other.operator, set(other.values))


def _requirement(item: Requirement) -> Json:
    row: Json = {"key": item.key, "operator": item.operator}
    return row | {"values": list(item.values)} if item.values else row

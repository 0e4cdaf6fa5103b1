"""Whether a node is one that a slice or device can be reached from (component-helpers nodeaffinity)."""

from amdgpu_dra.core.allocate.errors import AllocationError
from amdgpu_dra.core.allocate.model import Node, Placement, Requirement, Term

_LABEL_OPERATORS = frozenset({"In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"})


def node_matches(node: Node, placement: Placement) -> bool:
    """Whether the placement names this node: by name, all nodes, or by selector; a placement of nothing matches none.

    Raises:
        AllocationError: the selector is malformed, which the API server would have refused.
    """
    if placement.node_name:
        return node.name == placement.node_name
    if placement.all_nodes:
        return True
    if placement.selector is None:
        return False
    terms = [term for term in placement.selector if term.labels or term.fields]
    for term in terms:
        _check(term)
    return any(_term_matches(node, term) for term in terms)


def _check(term: Term) -> None:
    for item in term.labels:
        if problem := _label_problem(item):
            raise AllocationError(f"failed to parse node selector: {item.key}: {problem}")
    for item in term.fields:
        if item.operator not in {"In", "NotIn"} or len(item.values) != 1:
            raise AllocationError(f"failed to parse node selector: field {item.key}: expected In or NotIn of one value")


def _label_problem(item: Requirement) -> str | None:
    if item.operator not in _LABEL_OPERATORS:
        return f"unknown operator {item.operator!r}"
    if item.operator in {"In", "NotIn"} and not item.values:
        return "for 'In', 'NotIn' operators, values set can't be empty"
    if item.operator in {"Exists", "DoesNotExist"} and item.values:
        return "values set must be empty for exists and does not exist"
    if item.operator in {"Gt", "Lt"} and (len(item.values) != 1 or _number(item.values[0]) is None):
        return "for 'Gt', 'Lt' operators, exactly one integer is required"
    return None


def _term_matches(node: Node, term: Term) -> bool:
    labels = all(_label_matches(item, node.labels.get(item.key)) for item in term.labels)
    return labels and (not node.name or all(_field_matches(item, node.name) for item in term.fields))


def _field_matches(item: Requirement, name: str) -> bool:
    value = name if item.key == "metadata.name" else ""
    return (value == item.values[0]) == (item.operator == "In")


def _label_matches(item: Requirement, value: str | None) -> bool:
    match item.operator:
        case "In":
            return value is not None and value in item.values
        case "NotIn":
            return value is None or value not in item.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    number, limit = _number(value or ""), _number(item.values[0])
    if number is None or limit is None:
        return False
    return number > limit if item.operator == "Gt" else number < limit


def _number(text: str) -> int | None:
    digits = text[1:] if text[:1] in {"+", "-"} else text
    return int(text) if digits.isascii() and digits.isdigit() else None

"""What Kubernetes and cel-go charge, whether a cost is estimated or counted."""

TRAVERSAL, PATTERN = 0.1, 0.25
"""For each character or element that is passed over; for each character of a pattern."""
LIST_COST, MAP_COST, STRUCT_COST = 10, 30, 40
"""For making one."""

UNIT_CALLS = (
    "masked",
    "prefixLength",
    "family",
    "isUnspecified",
    "isLoopback",
    "isLinkLocalMulticast",
    "isLinkLocalUnicast",
    "isGlobalUnicast",
    "format.named",
    "sign",
    "asInteger",
    "isInteger",
    "asApproximateFloat",
    "isGreaterThan",
    "isLessThan",
    "compareTo",
    "add",
    "sub",
    "major",
    "minor",
    "patch",
    "getScheme",
    "getHostname",
    "getHost",
    "getPort",
    "getEscapedPath",
    "getQuery",
)
"""Functions that cost one, whatever they are called with."""
LIST_CALLS = ("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf", "includes")
"""Functions that pass over a list."""

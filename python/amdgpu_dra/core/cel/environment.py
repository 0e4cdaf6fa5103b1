"""What an expression may name: the device with its fields, types, and which functions there are, by options."""

from dataclasses import dataclass

from amdgpu_dra.core.cel.declarations import functions
from amdgpu_dra.core.cel.kinds import (
    ANY,
    BOOL,
    BYTES,
    DEVICE,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    UINT,
    CelType,
    list_of,
    map_of,
    optional_of,
    read_type,
    type_of,
)
from amdgpu_dra.core.cel.overloads import Functions
from amdgpu_dra.core.cel.values import TypeValue

__all__ = ["MOST_COST", "CelOptions", "Environment", "environment"]

MOST_COST = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CelOptions:
    """Which environment of Kubernetes an expression is for.

    `consumable_capacity` and `list_attributes` are its feature gates. `new_expressions` is what the API server checks
    when an object is created; without it stored expressions are meant, as the scheduler runs them, where both gates
    count as on. `cost_limit` ends an evaluation.
    """

    consumable_capacity: bool = True
    list_attributes: bool = False
    new_expressions: bool = False
    cost_limit: int = MOST_COST


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Names for the checker; `attribute` is the type of an attribute's value."""

    names: dict[str, CelType]
    types: dict[str, TypeValue]
    fields: dict[str, CelType]
    functions: Functions
    attribute: CelType


_TYPES = {
    **{str(kind): kind for kind in (BOOL, INT, UINT, DOUBLE, STRING, BYTES, DURATION, TIMESTAMP)},
    "null_type": NULL,
    "list": list_of(DYN),
    "map": map_of(DYN, DYN),
    "type": type_of(DYN),
    "optional_type": optional_of(DYN),
    "net.IP": read_type("IP"),
    "net.CIDR": read_type("CIDR"),
}
# Structs that protobuf knows as a value in a wrapper.
WRAPPERS = {
    f"google.protobuf.{name}Value": kind
    for name, kind in {
        "Bool": BOOL,
        "Bytes": BYTES,
        "Double": DOUBLE,
        "Float": DOUBLE,
        "Int32": INT,
        "Int64": INT,
        "UInt32": UINT,
        "UInt64": UINT,
        "String": STRING,
    }.items()
}


def environment(options: CelOptions) -> Environment:
    """The environment of some options."""
    stored = not options.new_expressions
    attribute = DYN if stored or options.list_attributes else ANY
    fields = {
        "driver": STRING,
        "attributes": map_of(STRING, map_of(STRING, attribute)),
        "capacity": map_of(STRING, map_of(STRING, read_type("Quantity"))),
    }
    if stored or options.consumable_capacity:
        fields["allowMultipleAllocations"] = BOOL
    return Environment(
        names={"device": DEVICE, **{name: type_of(kind) for name, kind in _TYPES.items()}},
        types={name: TypeValue(name) for name in _TYPES},
        fields=fields,
        functions=functions(includes=stored or options.list_attributes),
        attribute=attribute,
    )

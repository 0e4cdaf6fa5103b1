"""Which features are on, and what follows from that: upstream's three variants of the algorithm as data."""

from dataclasses import dataclass, fields

STABLE, INCUBATING, EXPERIMENTAL = "stable", "incubating", "experimental"


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """Upstream's structured.Features; the defaults are those of a Kubernetes 1.37 cluster."""

    admin_access: bool = True
    compatibility_groups: bool = False
    consumable_capacity: bool = True
    derived_attributes: bool = False
    device_binding_and_status: bool = True
    device_taints: bool = True
    fractional_capacity_range: bool = True
    list_type_attributes: bool = False
    optional_node_operations: bool = False
    partitionable_devices: bool = True
    prioritized_list: bool = True

    @classmethod
    def named(cls, names: dict[str, bool]) -> "Features":
        """From upstream's names (`AdminAccess`); one that is not named is off.

        Raises:
            ValueError: upstream has no feature of that name.
        """
        known = {_upstream(item.name): item.name for item in fields(cls)}
        if unknown := sorted(names.keys() - known.keys()):
            raise ValueError(f"features: expected some of {', '.join(sorted(known))}, found {', '.join(unknown)}")
        return cls(**{field: names.get(name, False) for name, field in known.items()})

    @classmethod
    def all_on(cls) -> "Features":
        """Every feature that is known."""
        return cls(**{item.name: True for item in fields(cls)})

    @property
    def on(self) -> frozenset[str]:
        """The fields that are true."""
        return frozenset(item.name for item in fields(self) if getattr(self, item.name))


_STABLE = frozenset({"admin_access", "prioritized_list", "partitionable_devices", "device_taints"})
_INCUBATING = _STABLE | {"device_binding_and_status", "consumable_capacity", "fractional_capacity_range"}
_SUPPORTED = {STABLE: _STABLE, INCUBATING: _INCUBATING, EXPERIMENTAL: Features.all_on().on}


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """How the variants differ beyond the features that they support.

    Attributes:
        ordered: pools and slices are sorted, and a request looks at combinations of devices, not at permutations.
        counters_everywhere: slices with counter sets count for every node.
        shares: knows devices that several claims share, their capacity, and distinctAttribute.
        node_operations: knows `skipNodeOperations`.
        derives: knows derived attributes.
    """

    name: str
    ordered: bool = True
    counters_everywhere: bool = False
    shares: bool = True
    node_operations: bool = False
    derives: bool = False


_VARIANTS = {
    STABLE: Variant(name=STABLE, ordered=False, counters_everywhere=True, shares=False),
    INCUBATING: Variant(name=INCUBATING),
    EXPERIMENTAL: Variant(name=EXPERIMENTAL, node_operations=True, derives=True),
}


def choose_variant(features: Features, channel: str = "") -> Variant:
    """The first variant that supports every feature that is on; `channel` allows only that one.

    Raises:
        ValueError: none does.
    """
    for name, variant in _VARIANTS.items():
        if channel in {"", name} and features.on <= _SUPPORTED[name]:
            return variant
    names = ", ".join(sorted(features.on))
    raise ValueError(f"internal error: no allocator available for feature set {names}, enabled allocators: {channel}")


def _upstream(field: str) -> str:
    return "".join(word.capitalize() for word in field.split("_"))

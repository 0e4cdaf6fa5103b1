"""A fleet as plain data (from YAML) ⇄ FleetSpec. Every wrong field is told, with its path."""

from collections.abc import Callable, Mapping
from dataclasses import fields

from amdgpu_dra.core.fakegpu.fleet import Fault, FleetSpec, GpuSpec, NumaNode, OtherCard
from amdgpu_dra.core.gpu import PciAddress
from amdgpu_dra.core.models import MODELS


class FleetError(ValueError):
    """A fleet that cannot be read; `errors` holds one sentence for each wrong field."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("; ".join(errors))
        self.errors = errors


class _Fields:
    """Takes fields out of one mapping and keeps the errors."""

    def __init__(self, data: object, path: str, errors: list[str]) -> None:
        self.path, self.errors = path, errors
        self.left: dict[str, object] = {}
        if isinstance(data, Mapping):
            self.left = {str(key): value for key, value in data.items()}
        else:
            errors.append(f"{path or 'fleet'}: expected a mapping, found {data!r}")

    def take[T, D](self, name: str, read: Callable[[object], T], default: D) -> T | D:
        """The field as `read` understands it, else `default`; what it refuses is an error."""
        if name not in self.left:
            return default
        value = self.left.pop(name)
        try:
            return read(value)
        except (ValueError, TypeError, KeyError) as error:
            self.errors.append(f"{self.path}{name}: expected {error.args[0]}, found {value!r}")
            return default

    def need[T, D](self, name: str, read: Callable[[object], T], default: D) -> T | D:
        """Like `take`, for a field that must be there."""
        if name not in self.left:
            self.errors.append(f"{self.path}{name}: is missing")
        return self.take(name, read, default)

    def finish(self, known: type) -> None:
        """What is left is unknown."""
        names = ", ".join(field.name for field in fields(known))
        self.errors.extend(f"{self.path}{name}: unknown field; expected one of {names}" for name in self.left)


def _whole(value: object) -> int:
    if isinstance(value, str) and value.startswith("0x"):
        return int(value, 16)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("a whole number from 0 up")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a text")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError("true or false")
    return value


def _one_of(*words: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if str(value) not in words:
            raise ValueError("one of " + ", ".join(words))
        return str(value)

    return read


def _address(value: object) -> PciAddress:
    found = PciAddress.find(str(value))
    if found is None:
        raise ValueError("a PCI address such as 0000:05:00.0")
    return found


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError("a list")
    return value


def _numbers(value: object) -> dict[str, int]:
    if not isinstance(value, Mapping):
        raise TypeError("a mapping of names to whole numbers")
    return {str(name): _whole(number) for name, number in value.items()}


def _optional[T](read: Callable[[object], T]) -> Callable[[object], T | None]:
    return lambda value: None if value is None else read(value)


def decode_fleet(data: object) -> FleetSpec:
    """Reads a fleet.

    Raises:
        FleetError: with every wrong field.
    """
    errors: list[str] = []
    top = _Fields(data, "", errors)
    numa = tuple(_numa(item, f"numa[{i}].", errors) for i, item in enumerate(top.need("numa", _list, ())))
    fleet = FleetSpec(
        name=top.need("name", _text, "?"),
        gpus=tuple(_gpu(item, f"gpus[{i}].", errors) for i, item in enumerate(top.need("gpus", _list, ()))),
        numa=numa,
        cpu=top.take("cpu", _one_of("amd", "intel"), "amd"),
        cpu_links=top.take("cpu_links", _one_of("pcie", "xgmi"), "pcie"),
        kernel=top.take("kernel", _one_of("6.8", "6.12", "7.x"), "6.12"),
        board_vga=top.take("board_vga", _flag, default=False),
        others=tuple(_other(item, f"others[{i}].", errors) for i, item in enumerate(top.take("others", _list, ()))),
        driver_version=top.take("driver_version", _optional(_text), "6.12.12"),
        kfd_major=top.take("kfd_major", _whole, 235),
        pcie_bandwidth=top.take("pcie_bandwidth", _whole, 64000),
        cpu_clock=top.take("cpu_clock", _whole, 2400),
        faults=tuple(_fault(item, f"faults[{i}].", errors) for i, item in enumerate(top.take("faults", _list, ()))),
    )
    top.finish(FleetSpec)
    errors += _check(fleet)
    if errors:
        raise FleetError(errors)
    return fleet


def _numa(data: object, path: str, errors: list[str]) -> NumaNode:
    own = _Fields(data, path, errors)
    node = NumaNode(
        cores=own.need("cores", _whole, 1),
        memory=own.need("memory", _whole, 1),
        core_id_base=own.take("core_id_base", _whole, 0),
        width=own.take("width", _whole, 0),
        clock=own.take("clock", _whole, 0),
    )
    own.finish(NumaNode)
    return node


def _gpu(data: object, path: str, errors: list[str]) -> GpuSpec:
    own = _Fields(data, path, errors)
    model = own.need("model", _one_of(*MODELS), next(iter(MODELS)))
    address = own.need("address", _address, PciAddress(0, 0, 0))
    legal = MODELS[model].legal
    memory = own.take("memory", _optional(_one_of(*legal)), "NPS1" if legal else None)
    compute = own.take("compute", _optional(_one_of(*legal.get(memory or "", ()))), "SPX" if legal else None)
    gpu = GpuSpec(
        address=address,
        model=model,
        numa=own.take("numa", _whole, 0),
        pcie_root=own.take("pcie_root", _text, _root_of(address)),
        unique_id=own.need("unique_id", _whole, 1),
        compute=compute,
        memory=memory,
        hive=own.take("hive", _whole, 0),
        virtual=own.take("virtual", _flag, default=False),
        vram=own.take("vram", _optional(_whole), None),
        kfd=own.take("kfd", _numbers, {}),
    )
    own.finish(GpuSpec)
    return gpu


def _other(data: object, path: str, errors: list[str]) -> OtherCard:
    own = _Fields(data, path, errors)
    address = own.need("address", _address, PciAddress(0, 0, 0))
    card = OtherCard(
        address=address,
        vendor=own.need("vendor", _whole, 0),
        device=own.need("device", _whole, 0),
        driver=own.need("driver", _text, "?"),
        pcie_root=own.take("pcie_root", _text, _root_of(address)),
        version=own.take("version", _optional(_text), None),
        numa=own.take("numa", _whole, 0),
        drm=own.take("drm", _flag, default=True),
    )
    own.finish(OtherCard)
    return card


def _root_of(address: PciAddress) -> str:
    """A root for a device whose fleet names none."""
    return f"pci{address.domain:04x}:{max(address.bus - 1, 0):02x}"


def _fault(data: object, path: str, errors: list[str]) -> Fault:
    own = _Fields(data, path, errors)
    fault = Fault(
        path=own.need("path", _text, "?"),
        text=own.take("text", _optional(str), None),
        errno=own.take("errno", _optional(_text), None),
    )
    own.finish(Fault)
    return fault


def _check(fleet: FleetSpec) -> list[str]:
    errors = []
    seen: set[PciAddress] = set()
    cards: list[tuple[str, GpuSpec | OtherCard]] = [(f"gpus[{i}]", gpu) for i, gpu in enumerate(fleet.gpus)]
    cards += [(f"others[{i}]", card) for i, card in enumerate(fleet.others)]
    for path, card in cards:
        if card.address in seen:
            errors.append(f"{path}.address: {card.address} is another card's too; give each its own")
        seen.add(card.address)
        if card.numa >= len(fleet.numa):
            errors.append(f"{path}.numa: expected one of the {len(fleet.numa)} NUMA nodes, found {card.numa}")
    return errors

"""Devices: names that last, attributes that are known, and reasons for what is withheld."""

import re
from dataclasses import replace
from pathlib import Path

from hypothesis import given

from amdgpu_dra.core.devices import ATTRIBUTES, CAPACITIES, describe, list_devices
from amdgpu_dra.core.fakegpu import FleetSpec, render
from amdgpu_dra.core.gpu import Inventory, TreeText, parse
from amdgpu_dra.edge.faketree import read_fleet
from amdgpu_dra.testing.strategies import fleets

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
REFERENCE = Path("docs/reference/attributes.md")


def _inventory(fleet: str) -> Inventory:
    return parse(render(read_fleet(fleet)))


@given(fleets())
def test_every_device_has_a_name_of_its_own_that_kubernetes_takes(fleet: FleetSpec) -> None:
    """Names are DNS labels and unique; whole GPUs come before partitions; no value is empty or too long."""
    listing = list_devices(parse(render(fleet)))
    names = [device.name for device in listing.devices]

    assert len(set(names)) == len(names)
    assert all(LABEL.fullmatch(name) for name in names)
    assert [device.is_whole for device in listing.devices] == sorted(
        (d.is_whole for d in listing.devices), reverse=True
    )
    for device in listing.devices:
        described, refused = describe(device)
        assert refused == ()
        assert all(value != "" for value in described.attributes.values())
        assert all(value > 0 for value in described.capacity.values())


@given(fleets())
def test_names_do_not_depend_on_the_kernels_numbers(fleet: FleetSpec) -> None:
    """Other majors, minors and cards before ours change no name."""
    moved = replace(fleet, kfd_major=300, other_cards=fleet.other_cards + 1)

    assert [d.name for d in list_devices(parse(render(fleet))).devices] == [
        d.name for d in list_devices(parse(render(moved))).devices
    ]


def test_partition_is_described_as_amds_driver_does() -> None:
    """Names, types and values of AMD's attributes for a CPX partition of an MI300X."""
    device = list_devices(_inventory("mi300x-8-cpx")).devices[3]
    described, _ = describe(device)

    assert described.name == "gpu-0000-05-00-0-cpx-3"
    expected = {
        "type": "amdgpu-partition",
        "productName": "AMD_Instinct_MI300X_OAM",
        "deviceID": "0x74a1",
        "partitionProfile": "cpx_nps1",
        "numaNode": 0,
        "resource.kubernetes.io/pciBusID": "0000:05:00.0",
        "resource.kubernetes.io/pcieRoot": "pci0000:00",
        "gfxTarget": "gfx942",
        "partitionIndex": 3,
    }
    assert expected.items() <= dict(described.attributes).items()
    assert described.capacity["memory"] == 25767706624
    assert described.capacity["computeUnits"] == 38


def test_unknown_is_absent() -> None:
    """A virtual function has no product name and a kernel's own driver no version: neither is published."""
    (device,) = list_devices(_inventory("mi350x-vf")).devices
    described, _ = describe(device)

    assert not {"productName", "driverVersion", "driverVersionFull"} & described.attributes.keys()


def test_what_is_withheld_says_why() -> None:
    """A GPU without a KFD node and one without a render node are withheld, each with its reason; the others stay."""
    listing = list_devices(_inventory("mi300x-8-broken"))

    assert {item.reason for item in listing.withheld} == {"NoKfdNode", "NoRenderNode"}
    assert len(listing.devices) == 6


def test_a_mode_that_contradicts_kfd_is_no_device() -> None:
    """Several partitions of a GPU that says SPX, or no mode, are withheld: a name could mean another shape."""
    inventory = _inventory("mi300x-8-cpx")
    for mode in ("SPX", None):
        gpus = tuple(replace(gpu, compute_mode=mode) for gpu in inventory.gpus[:1])
        listing = list_devices(replace(inventory, gpus=gpus))

        assert listing.devices == ()
        assert [item.reason for item in listing.withheld] == ["UnknownMode"] * 8


def test_kfd_alone_publishes_nothing() -> None:
    """Without PCI the partitions are inventoried and withheld."""
    tree = render(read_fleet("mi308x-8-cpx-nps4"))
    kfd = TreeText(files={path: text for path, text in tree.files.items() if "/kfd/" in path}, links=tree.links)
    only = TreeText(files=kfd.files, links={"class/kfd/kfd": tree.links["class/kfd/kfd"]})
    listing = list_devices(parse(only))

    assert listing.devices == ()
    assert [item.reason for item in listing.withheld] == ["NoPciDevice"] * 32


def test_the_reference_is_current() -> None:
    """docs/reference/attributes.md is what the table says; the message holds the new text."""
    rows = ["| attribute | type | example | meaning |", "|---|---|---|---|"]
    rows += [f"| `{row.name}` | {row.kind} | `{row.example}` | {row.doc} |" for row in ATTRIBUTES]
    rows += ["", "| capacity | example | meaning |", "|---|---|---|"]
    rows += [f"| `{row.name}` | `{row.example}` | {row.doc} |" for row in CAPACITIES]
    head = (
        "# Attributes and capacities\n\nOf every device of `gpu.amd.com`. What is not known is absent, never zero.\n\n"
    )

    assert REFERENCE.read_text() == head + "\n".join(rows) + "\n"

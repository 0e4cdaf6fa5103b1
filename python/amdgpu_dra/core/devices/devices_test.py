"""Devices: names that last, attributes that are known, and reasons for what is withheld."""

import re
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.api.resource import Version
from amdgpu_dra.core.devices import ATTRIBUTES, CAPACITIES, describe, list_devices
from amdgpu_dra.core.fakegpu import FleetSpec, OtherCard, render
from amdgpu_dra.core.gpu import Inventory, PciAddress, TreeText, parse
from amdgpu_dra.edge.faketree import read_fleet
from amdgpu_dra.testing.strategies import fleets

SEMVER = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
VIRTIO = OtherCard(address=PciAddress(5, 0, 2), vendor=0x1AF4, device=0x1050, driver="virtio", pcie_root="pci0005:00")
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
        assert {row.name for row in ATTRIBUTES if row.always} <= described.attributes.keys()


@given(fleets())
def test_names_do_not_depend_on_the_kernels_numbers(fleet: FleetSpec) -> None:
    """Other majors, minors and cards before ours change no name."""
    moved = replace(fleet, kfd_major=300, others=(*fleet.others, VIRTIO))

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
        "parentPciBusID": "0000:05:00.0",
        "computePartition": "cpx",
        "memoryPartition": "nps1",
        "model": "MI300X",
    }
    assert expected.items() <= dict(described.attributes).items()
    assert described.capacity["memory"] == 25767706624
    assert described.capacity["computeUnits"] == 38


# Type and unit of what AMD's own driver publishes of GPUs and partitions; a claim written for it must work here.
AMDS = {
    "type": str,
    "productName": str,
    "driverVersion": Version,
    "driverVersionFull": str,
    "deviceID": str,
    "partitionProfile": str,
    "numaNode": int,
    "resource.kubernetes.io/pciBusID": str,
    "resource.kubernetes.io/pcieRoot": str,
    "resource.kubernetes.io/numaNode": int,
    "computePartition": str,
    "memoryPartition": str,
}


def test_whole_gpus_and_partitions_carry_amds_names_and_types() -> None:
    """Every attribute and capacity of AMD's driver is there, of its type, and the parent is on whole GPUs too."""
    for device in list_devices(_inventory("mi300x-8-mixed")).devices:
        described, _ = describe(device)

        assert {name: type(described.attributes[name]) for name in AMDS} == AMDS
        assert described.capacity.keys() == {"memory", "computeUnits", "simdUnits"}
        assert described.attributes["parentPciBusID"] == described.attributes["resource.kubernetes.io/pciBusID"]


@given(
    st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,70}){0,4}([-+a-z.]{0,3})", fullmatch=True) | st.text(min_size=1, max_size=80)
)
def test_a_driver_version_is_semantic_or_absent(text: str) -> None:
    """Whatever amdgpu's module states, the API server takes what is published, and the full text stands beside it."""
    device = replace(list_devices(_inventory("mi350x-vf")).devices[0], driver_version=text)
    described, refused = describe(device)
    version = described.attributes.get("driverVersion")

    if isinstance(version, Version):
        assert SEMVER.fullmatch(version.text)
        assert text.startswith(version.text)
        assert len(version.text) <= 64
    assert described.attributes.get("driverVersionFull", text) == text
    assert ("driverVersionFull" in described.attributes) == ("driverVersionFull" not in refused)


def test_a_device_is_within_the_limits_of_kubernetes() -> None:
    """At most 32 attributes and capacities, ids of at most 32 letters, each name once."""
    names = [row.name for row in (*ATTRIBUTES, *CAPACITIES)]

    assert len(names) == len(set(names)) <= 32
    assert all(re.fullmatch(r"(resource\.kubernetes\.io/)?[A-Za-z_][A-Za-z0-9_]{0,31}", name) for name in names)


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

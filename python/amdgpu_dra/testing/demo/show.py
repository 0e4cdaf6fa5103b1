"""What the demo prints."""

from typing import Any

from rich.console import Console
from rich.table import Table

from amdgpu_dra.testing.demo.allocate import Wish, devices_of, value_of

_SHOWN = 10


def show_devices(console: Console, slices: list[dict[str, Any]]) -> None:
    """The published devices, the first few of them."""
    devices = list(devices_of(slices))
    table = Table(title=f"{len(devices)} devices in {len(slices)} slice(s), as the API server has them")
    for column in ("device", "product", "profile", "NUMA", "PCIe root", "memory", "compute units"):
        table.add_column(column)
    for device in devices[:_SHOWN]:
        capacity = device.get("capacity", {})
        table.add_row(
            device["name"],
            *(str(value_of(device, name) or "-") for name in ("productName", "partitionProfile")),
            str(value_of(device, "numaNode")),
            str(value_of(device, "resource.kubernetes.io/pcieRoot")),
            *(str(capacity.get(name, {}).get("value", "-")) for name in ("memory", "computeUnits")),
        )
    if len(devices) > _SHOWN:
        table.add_row(f"… and {len(devices) - _SHOWN} more")
    console.print(table)


def show_claim(
    console: Console, wish: Wish, devices: list[str], edits: dict[str, Any], times: dict[str, float]
) -> None:
    """Who got what, and what a container of it would see."""
    took = ", ".join(f"{name} {seconds * 1000:.1f} ms" for name, seconds in times.items())
    console.print(f"[bold]{wish.name}[/bold]: {wish.words}  [dim]({took})[/dim]")
    for device in devices:
        console.print(f"  got {device}")
    for path, node in sorted(edits["nodes"].items()):
        console.print(f"  {path}  {node['type']} {node['major']}:{node['minor']} {node['permissions']}")
    for name, value in sorted(edits["env"].items()):
        console.print(f"  {name}={value}", soft_wrap=True)

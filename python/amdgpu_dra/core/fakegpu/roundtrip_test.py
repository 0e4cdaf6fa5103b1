"""`parse` is the inverse of `render`, over every model and legal mode."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.core.fakegpu import FAMILIES, MODELS, FleetSpec, GpuSpec, render
from amdgpu_dra.core.gpu import Gpu, PciAddress, Unreadable, parse
from amdgpu_dra.edge.faketree import bundled_fleets, read_fleet
from amdgpu_dra.testing.strategies import fleets

# One has faults, one more DRM devices than there are minors; cases_test says what each lacks.
SHORT_OF_PARTITIONS = ("mi300x-8-broken", "mi300x-8-63")


def stated(fleet: FleetSpec) -> list[dict[str, object]]:
    """What a fleet says of its GPUs, without any number that the kernel would choose."""
    return [_stated(gpu, fleet) for gpu in sorted(fleet.gpus, key=lambda gpu: gpu.address)]


def _stated(gpu: GpuSpec, fleet: FleetSpec) -> dict[str, object]:
    model = MODELS[gpu.model]
    family, count = FAMILIES[model.gfx], model.partitions(gpu.compute)
    return {
        "address": gpu.address,
        "device_id": f"{model.vf_id if gpu.virtual else model.device_id:#06x}",
        "product_name": model.product if family.has_fru and not gpu.virtual else None,
        "unique_id": f"{gpu.unique_id:016x}" if family.has_unique_id else None,
        "numa_node": gpu.numa,
        "pcie_root": gpu.pcie_root,
        "hive_id": gpu.hive or None,
        "compute_mode": gpu.compute,
        "memory_mode": gpu.memory,
        "xccs": [model.xccs // count] * count,
        "indices": list(range(count)),
        "units": model.compute_units // count * count,
        "offers": bool(model.legal) and not gpu.virtual,
        "writable": bool(model.legal) and not gpu.virtual,
        "per_gpu": bool(model.legal) and not gpu.virtual and fleet.kernel == "7.x",
        "driver": fleet.driver_version,
        "revision": f"{model.revision:#04x}",
        "gfx": {model.gfx},
        "link": (family.pcie_speed, 16),
        "vram": _own_memory(gpu),
        "unified": model.is_apu and (gpu.compute is not None or gpu.vram is None or gpu.vram < _host_half(fleet)),
        "available": model.legal["NPS1" if fleet.kernel != "7.x" else gpu.memory or "NPS1"]
        if model.legal and not gpu.virtual
        else (),
        "memory_modes": tuple(model.legal) if fleet.kernel == "7.x" and not gpu.virtual else (),
        "linked": _peers(gpu, fleet),
    }


def _own_memory(gpu: GpuSpec) -> int:
    """Bytes of the GPU's own memory: all but 16 MiB, or what the fleet says; an APU has none unless it says so."""
    if gpu.vram is not None:
        return gpu.vram
    return max(0, MODELS[gpu.model].memory - (16 << 20))


def _host_half(fleet: FleetSpec) -> int:
    """Half of the host's pages."""
    return sum(node.memory // 4096 for node in fleet.numa) // 2 * 4096


def _peers(gpu: GpuSpec, fleet: FleetSpec) -> set[tuple[PciAddress, str]]:
    """Every other GPU and how it is linked; through the hive if both are in it."""
    return {
        (other.address, "xgmi" if gpu.hive and gpu.hive == other.hive else "pcie")
        for other in fleet.gpus
        if other is not gpu
    }


def seen(gpu: Gpu, driver: str | None) -> dict[str, object]:
    """The same of an inventory."""
    return {
        "address": gpu.address,
        "device_id": gpu.device_id,
        "product_name": gpu.product_name,
        "unique_id": gpu.unique_id,
        "numa_node": gpu.numa_node,
        "pcie_root": gpu.pcie_root,
        "hive_id": gpu.hive_id,
        "compute_mode": gpu.compute_mode,
        "memory_mode": gpu.memory_mode,
        "xccs": [part.xccs for part in gpu.partitions],
        "indices": [part.index for part in gpu.partitions],
        "units": sum(part.compute_units or 0 for part in gpu.partitions),
        "offers": bool(gpu.compute_modes),
        "writable": gpu.mode_writable,
        "per_gpu": gpu.per_gpu_config,
        "driver": driver,
        "revision": gpu.revision,
        "gfx": {part.gfx_target for part in gpu.partitions},
        "link": (gpu.pcie_link_speed, gpu.pcie_link_width),
        "vram": gpu.vram,
        "unified": gpu.partitions[0].unified_memory,
        "available": gpu.compute_modes,
        "memory_modes": gpu.memory_modes,
        "linked": {
            (link.peer[0], link.kind)
            for part in gpu.partitions
            for link in part.links
            if link.peer and link.peer[0] != gpu.address
        },
    }


@given(fleets())
def test_parse_gives_back_what_was_rendered(fleet: FleetSpec) -> None:
    """Every GPU and partition of a fleet is found again, with its identity, place and modes, and without a problem."""
    inventory = parse(render(fleet))

    assert stated(fleet) == [seen(gpu, inventory.driver_version) for gpu in inventory.gpus]
    assert inventory.problems == ()
    assert inventory.kfd is not None
    assert inventory.kfd.major == fleet.kfd_major


@pytest.mark.parametrize("name", [name for name in bundled_fleets() if name not in SHORT_OF_PARTITIONS])
def test_bundled_fleets_are_read_back(name: str) -> None:
    """Each bundled fleet, and with them each row of the model table, passes the same comparison."""
    fleet = read_fleet(name)
    inventory = parse(render(fleet))

    assert stated(fleet) == [seen(gpu, inventory.driver_version) for gpu in inventory.gpus]


@given(fleets())
def test_partitions_divide_the_memory_of_their_gpu(fleet: FleetSpec) -> None:
    """What partitions have together is the GPU's own memory, short of less than a page each; on an APU the host's."""
    for gpu in parse(render(fleet)).gpus:
        total = sum(part.memory or 0 for part in gpu.partitions)
        whole = gpu.vram or 0
        if gpu.partitions[0].unified_memory:
            whole = _host_half(fleet) // (len(fleet.numa) if gpu.compute_mode else 1)
        assert whole - 4096 * len(gpu.partitions) < total <= whole


@given(fleets())
def test_every_partition_has_nodes_of_its_own(fleet: FleetSpec) -> None:
    """Render and card nodes are there, have numbers, and belong to one partition only."""
    parts = [part for gpu in parse(render(fleet)).gpus for part in gpu.partitions]

    assert len({part.render for part in parts}) == len({part.card for part in parts}) == len(parts)
    assert all(part.render is not None and part.card is not None for part in parts)


@given(fleets(), st.randoms())
def test_the_order_of_folders_means_nothing(fleet: FleetSpec, random: Random) -> None:
    """A tree read in any order gives the same inventory."""
    tree = render(fleet)
    files, links = list(tree.files.items()), list(tree.links.items())
    random.shuffle(files)
    random.shuffle(links)

    assert parse(tree) == parse(replace(tree, files=dict(files), links=dict(links)))


def without_links(gpu: Gpu) -> Gpu:
    """The GPU with no link of any partition."""
    return replace(gpu, partitions=tuple(replace(part, links=()) for part in gpu.partitions))


@given(fleets(), st.data())
def test_one_spoilt_file_costs_no_other_device(fleet: FleetSpec, data: st.DataObject) -> None:
    """Any text or errno in place of one file leaves all GPUs but one as they were, except for links to that one."""
    tree = render(fleet)
    whole = parse(tree)
    path = data.draw(st.sampled_from(sorted(tree.files)))
    bad: str | Unreadable = data.draw(
        st.one_of(
            st.text(max_size=40),
            st.sampled_from(["", "-1", "0", "99999999999999999999\n", "NPS9\n", "simd_count x\n", "\x00\n"]),
            st.builds(Unreadable, errno=st.sampled_from(["EPERM", "EIO", "EACCES"])),
        )
    )

    broken = parse(replace(tree, files={**tree.files, path: bad}))

    unlinked = [without_links(gpu) for gpu in broken.gpus]
    changed = [gpu for gpu in whole.gpus if without_links(gpu) not in unlinked]
    assert len(changed) <= 1

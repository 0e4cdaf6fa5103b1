"""`parse` is the inverse of `render`, over every model and legal mode."""

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.core.fakegpu import MODELS, FleetSpec, GpuSpec, render
from amdgpu_dra.core.gpu import Gpu, Unreadable, parse
from amdgpu_dra.testing.strategies import fleets


def stated(fleet: FleetSpec) -> list[dict[str, object]]:
    """What a fleet says of its GPUs, without any number that the kernel would choose."""
    return [_stated(gpu, fleet) for gpu in sorted(fleet.gpus, key=lambda gpu: gpu.address)]


def _stated(gpu: GpuSpec, fleet: FleetSpec) -> dict[str, object]:
    model = MODELS[gpu.model]
    count = model.partitions(gpu.compute)
    return {
        "address": gpu.address,
        "device_id": f"{model.vf_id if gpu.virtual else model.device_id:#06x}",
        "product_name": None if gpu.virtual else model.product_name,
        "unique_id": f"{gpu.unique_id:016x}",
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
    }


@given(fleets())
def test_parse_gives_back_what_was_rendered(fleet: FleetSpec) -> None:
    """Every GPU and partition of a fleet is found again, with its identity, place and modes, and without a problem."""
    inventory = parse(render(fleet))

    assert stated(fleet) == [seen(gpu, inventory.driver_version) for gpu in inventory.gpus]
    assert inventory.problems == ()


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

"""Every legal pair of modes of every model, and what the kernel refuses."""

from dataclasses import replace

import pytest

from amdgpu_dra.core.fakegpu import FleetSpec, GpuSpec, NumaNode, render
from amdgpu_dra.core.fakekernel import Kernel, Outcome, automatic, boot, finish, load, obey, unload, waits_for, write
from amdgpu_dra.core.gpu import Gpu, PciAddress, TreeText, parse
from amdgpu_dra.core.models import COMPUTE_MODES, MODELS

FIRST, SECOND, THIRD = (PciAddress(0, bus, 0) for bus in (5, 0x26, 0x46))
PAIRS = [
    (name, memory, one, other)
    for name, model in MODELS.items()
    for memory, modes in model.legal.items()
    for one in modes
    for other in modes
]
ILLEGAL = [
    (name, memory, mode)
    for name, model in MODELS.items()
    for memory, modes in model.legal.items()
    for mode in COMPUTE_MODES
    if mode not in modes
]


def fleet(model: str, memory: str | None = None, compute: str | None = None, kernel: str = "7.x") -> FleetSpec:
    """Three GPUs of a model in one hive."""
    legal = MODELS[model].legal
    memory = memory or next(iter(legal), None)
    gpus = tuple(
        GpuSpec(
            address=address,
            model=model,
            numa=0,
            pcie_root="pci0000:00",
            unique_id=address.bus,
            memory=memory,
            compute=compute or (legal[memory][0] if memory else None),
            hive=1 << 40,
        )
        for address in (FIRST, SECOND, THIRD)
    )
    return FleetSpec(name="three", gpus=gpus, numa=(NumaNode(cores=8, memory=1 << 38),), kernel=kernel)


def file_of(gpu: PciAddress, name: str = "current_compute_partition") -> str:
    """Path of a file of a GPU."""
    return f"bus/pci/devices/{gpu}/{name}"


def switched(kernel: Kernel, gpu: PciAddress, mode: str) -> Kernel:
    """The kernel after a write that succeeds."""
    outcome = write(kernel, file_of(gpu), f"{mode}\n".encode())
    assert outcome.errno is None
    if outcome.begun is None:
        return outcome.kernel
    ended = finish(outcome.kernel, outcome.begun)
    assert ended.errno is None
    return ended.kernel


def seen(tree: TreeText) -> list[Gpu]:
    """The GPUs of a tree; links lead to partitions, so their order is that of nodes, which is another's test."""
    inventory = parse(tree)
    assert inventory.problems == ()
    return [
        replace(
            gpu, partitions=tuple(replace(part, links=tuple(sorted(part.links, key=repr))) for part in gpu.partitions)
        )
        for gpu in inventory.gpus
    ]


def order(tree: TreeText) -> list[tuple[int, int]]:
    """Bus and simd_id_base of the GPU nodes, in the order of their numbers."""
    folder = "devices/virtual/kfd/kfd/topology/nodes"
    found = []
    for number in sorted(map(int, tree.children(folder))):
        text = tree.files[f"{folder}/{number}/properties"]
        assert isinstance(text, str)
        values = dict(line.split() for line in text.splitlines())
        if values["simd_count"] != "0":
            found.append((int(values["location_id"]) >> 8, int(values["simd_id_base"])))
    assert sorted(map(int, tree.children(folder))) == list(range(len(found) + 1))
    return found


def generation(kernel: Kernel) -> int:
    """KFD's count."""
    found = parse(kernel.tree).generation
    assert found is not None
    return found


@pytest.mark.parametrize(("model", "memory", "one", "other"), PAIRS)
def test_every_legal_pair_of_modes_goes_there_and_back(model: str, memory: str, one: str, other: str) -> None:
    """The switched node is what a node in those modes is, but for the order of KFD; and back it is what it was."""
    kernel = boot(fleet(model, memory, one))

    there = switched(kernel, SECOND, other)
    back = switched(there, SECOND, one)

    stated = fleet(model, memory, one)
    changed = tuple(replace(gpu, compute=other) if gpu.address == SECOND else gpu for gpu in stated.gpus)
    assert seen(there.tree) == seen(render(replace(stated, gpus=changed)))
    assert seen(back.tree) == seen(kernel.tree)
    assert [part.memory for gpu in parse(back.tree).gpus for part in gpu.partitions] == [
        part.memory for gpu in parse(kernel.tree).gpus for part in gpu.partitions
    ]


@pytest.mark.parametrize(("model", "memory", "one", "other"), [pair for pair in PAIRS if pair[2] != pair[3]])
def test_new_nodes_come_last(model: str, memory: str, one: str, other: str) -> None:
    """The GPU's nodes are gone during the switch and follow all others after it, with bases that were never used."""
    kernel = boot(fleet(model, memory, one))
    before = order(kernel.tree)

    begun = write(kernel, file_of(FIRST), other.lower().encode()).kernel
    rest = [entry for entry in before if entry[0] != FIRST.bus]
    assert order(begun.tree) == rest
    after = finish(begun, FIRST).kernel
    new = order(after.tree)[len(rest) :]

    assert order(after.tree)[: len(rest)] == rest
    assert {bus for bus, _ in new} == {FIRST.bus}
    assert min(base for _, base in new) > max(base for _, base in before)
    assert generation(begun) == generation(kernel) + len(before) - len(rest)
    assert generation(after) == generation(begun) + len(new)
    assert sorted(after.tree.children("class/drm")) == sorted(kernel.tree.children("class/drm"))


@pytest.mark.parametrize(("model", "memory", "mode"), ILLEGAL)
def test_an_illegal_mode_is_einval(model: str, memory: str, mode: str) -> None:
    """A mode that does not go with the XCCs or the memory mode is refused, and nothing changes."""
    kernel = boot(fleet(model, memory))
    _refused(kernel, write(kernel, file_of(FIRST), mode.encode()), "EINVAL")


def _refused(kernel: Kernel, outcome: Outcome, errno: str) -> None:
    assert (outcome.errno, outcome.kernel, outcome.begun) == (errno, kernel, None)
    assert outcome.reason


def test_modes_are_matched_by_their_beginning() -> None:
    """`cpx` and `CPXyz` are CPX; an empty text and a shorter word are EINVAL; the mode of now is no switch."""
    kernel = boot(fleet("MI300X"))
    for text in (b"cpx", b"CPX\n", b"CpXyz"):
        assert write(kernel, file_of(FIRST), text).begun == FIRST
    for text in (b"", b"CP", b" CPX", b"\xff"):
        _refused(kernel, write(kernel, file_of(FIRST), text), "EINVAL")
    assert write(kernel, file_of(FIRST), b"spx") == Outcome(kernel=kernel)


@pytest.mark.parametrize(("kernel_name", "other_is_free"), [("7.x", True), ("6.12", False)])
def test_a_process_blocks_its_gpu_or_the_whole_node(kernel_name: str, *, other_is_free: bool) -> None:
    """EBUSY on the held GPU; on the others too before 7.x, or if told so; gone with the process."""
    kernel = obey(boot(fleet("MI300X", kernel=kernel_name)), f"hold 7 {FIRST}").kernel
    files = kernel.tree.files
    assert [path for path in files if path.startswith("devices/virtual/kfd/kfd/proc/7/vram_")]
    _refused(kernel, write(kernel, file_of(FIRST), b"CPX"), "EBUSY")
    assert (write(kernel, file_of(SECOND), b"CPX").errno is None) == other_is_free
    told = obey(kernel, "busy node").kernel
    _refused(told, write(told, file_of(SECOND), b"CPX"), "EBUSY")
    assert write(obey(told, "release 7").kernel, file_of(FIRST), b"CPX").errno is None


@pytest.mark.parametrize(("kernel_name", "errno"), [("7.x", "EPERM"), ("6.12", None)])
def test_a_reset_forbids_a_switch(kernel_name: str, errno: str | None) -> None:
    """EPERM from 7.x on; the mode cannot be read then either; after the reset all is as before."""
    kernel = boot(fleet("MI300X", kernel=kernel_name))
    reset = obey(kernel, f"reset {FIRST} on").kernel
    assert write(reset, file_of(FIRST), b"CPX").errno == errno
    assert (parse(reset.tree).gpus[0].compute_mode is None) == (errno is not None)
    assert obey(reset, f"reset {FIRST} off").kernel == kernel


def test_a_switch_that_ends_with_eio_leaves_a_gpu_without_nodes() -> None:
    """The mode is the new one, KFD has no node of the GPU; the next switch brings it back."""
    kernel = obey(boot(fleet("MI300X")), f"fail {FIRST} eio").kernel
    ended = finish(write(kernel, file_of(FIRST), b"CPX").kernel, FIRST)
    assert ended.errno == "EIO"
    gpu = parse(ended.kernel.tree).gpus[0]
    assert (gpu.compute_mode, gpu.partitions) == ("CPX", ())
    assert len(parse(switched(ended.kernel, FIRST, "DPX").tree).gpus[0].partitions) == 2


def test_who_meets_a_switch_waits_for_it() -> None:
    """A second write and a read of the mode wait for that GPU; other files and GPUs do not."""
    begun = write(boot(fleet("MI300X")), file_of(FIRST), b"CPX").kernel
    assert write(begun, file_of(FIRST), b"SPX").waits == FIRST
    assert waits_for(begun, file_of(FIRST)) == FIRST
    assert waits_for(begun, file_of(SECOND)) is waits_for(begun, file_of(FIRST, "unique_id")) is None
    assert write(begun, file_of(SECOND), b"CPX").begun == SECOND


def test_what_has_no_write_bit_is_eacces() -> None:
    """A virtual function's modes, a memory mode before 7.x, any other file; a file that is not there is ENOENT."""
    old = boot(fleet("MI300X", kernel="6.12"))
    _refused(old, write(old, file_of(FIRST, "current_memory_partition"), b"NPS4"), "EACCES")
    _refused(old, write(old, file_of(FIRST, "vendor"), b"1"), "EACCES")
    _refused(old, write(old, file_of(FIRST, "nothing"), b"1"), "ENOENT")
    stated = fleet("MI300X")
    virtual = boot(replace(stated, gpus=tuple(replace(gpu, virtual=True) for gpu in stated.gpus)))
    _refused(virtual, write(virtual, file_of(FIRST), b"CPX"), "EACCES")


MEMORY = [(name, now, then) for name, model in MODELS.items() for now in model.legal for then in model.legal]


@pytest.mark.parametrize(("model", "now", "then"), [case for case in MEMORY if case[1] != case[2]])
def test_a_memory_mode_comes_with_the_next_load(model: str, now: str, then: str) -> None:
    """Asked of one GPU it holds for its hive, is not seen before the next load, and chooses the compute mode then."""
    kernel = boot(fleet(model, now))
    asked = write(kernel, file_of(SECOND, "current_memory_partition"), then.encode())
    assert asked.errno is None
    assert asked.kernel.tree == kernel.tree

    loaded = obey(asked.kernel, "reload").kernel

    wanted = automatic(MODELS[model], then)
    assert {(gpu.memory_mode, gpu.compute_mode) for gpu in parse(loaded.tree).gpus} == {(then, wanted)}
    assert seen(loaded.tree) == seen(render(fleet(model, then, wanted)))


def test_memory_modes_that_a_gpu_lacks_are_einval() -> None:
    """NPS8 of an MI300X is refused; the mode of now is no request."""
    kernel = boot(fleet("MI300X"))
    path = file_of(FIRST, "current_memory_partition")
    _refused(kernel, write(kernel, path, b"NPS8"), "EINVAL")
    assert write(kernel, path, b"nps1").kernel == kernel


def test_without_a_driver_the_bare_pci_folders_stay() -> None:
    """Unloaded: no GPU is driven and no DRM device is there; loaded again: as after a start. Not while it is used."""
    kernel = boot(fleet("MI300X"))
    gone = unload(kernel).kernel
    assert parse(gone.tree).gpus == ()
    assert gone.tree.find(file_of(FIRST, "vendor")) == "0x1002\n"
    assert list(gone.tree.children("class/drm")) == []
    assert load(gone).kernel.tree == kernel.tree
    held = obey(kernel, f"hold 7 {FIRST}").kernel
    _refused(held, unload(held), "EBUSY")


def test_health_is_what_was_told() -> None:
    """Counters, retired pages and a lost link stand in the files that the kernel has for them."""
    kernel = boot(fleet("MI300X"))
    for line in (f"ras {FIRST} umc ue 3", f"aer {FIRST} fatal 2", f"badpages {FIRST} 2", f"lose {FIRST} on"):
        kernel = obey(kernel, line).kernel
    find = kernel.tree.find
    assert find(file_of(FIRST, "ras/aca_umc")) == "ue: 3\nce: 0\nde: 0\n"
    assert find(file_of(SECOND, "ras/aca_umc")) == "ue: 0\nce: 0\nde: 0\n"
    assert "TOTAL_ERR_FATAL 2\n" in str(find(file_of(FIRST, "aer_dev_fatal")))
    assert str(find(file_of(FIRST, "ras/gpu_vram_bad_pages"))).count(" : R\n") == 2
    assert find(file_of(FIRST, "current_link_speed")) == "Unknown\n"

"""What a running driver adds to a rendered tree: health, processes of KFD; and what is missing without a driver."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from amdgpu_dra.core.fakegpu import KFD, MODELS, FleetSpec, GpuSpec, History, folder_of, probe, render
from amdgpu_dra.core.gpu import PciAddress, TreeText, Unreadable, paths

BLOCKS = ("umc", "sdma", "gfx", "mmhub", "xgmi_wafl", "vcn", "jpeg")
KINDS = ("ue", "ce", "de")
AER = ("correctable", "nonfatal", "fatal")

# Files that the PCI core keeps when no driver is bound.
_PCI_CORE = frozenset(
    (
        "class",
        "current_link_speed",
        "current_link_width",
        "device",
        "numa_node",
        "revision",
        "subsystem_device",
        "subsystem_vendor",
        "vendor",
    )
)
_AER_NAMES = {"correctable": "TOTAL_ERR_COR", "nonfatal": "TOTAL_ERR_NONFATAL", "fatal": "TOTAL_ERR_FATAL"}

type Text = str | Unreadable
type Counts = Mapping[tuple[PciAddress, str, str], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What a tree shows beside fleet and history; see `Kernel` for the fields."""

    loaded: bool
    holders: Mapping[int, frozenset[PciAddress]]
    resetting: frozenset[PciAddress]
    lost: frozenset[PciAddress]
    counts: Counts


def dress(fleet: FleetSpec, history: History, extras: Extras) -> TreeText:
    """The rendered tree with what a running driver adds, or the bare PCI folders if there is no driver."""
    if not extras.loaded:
        return _bare(fleet, extras)
    tree = render(fleet, history)
    files: dict[str, Text] = dict(tree.files)
    for gpu in fleet.gpus:
        files |= dict(_gpu_files(fleet, gpu, extras))
    files |= dict(_processes(tree, extras.holders))
    return replace(tree, files=files)


def _bare(fleet: FleetSpec, extras: Extras) -> TreeText:
    tree = render(fleet, probe(fleet))
    links = {path: target for path, target in tree.links.items() if path.startswith(f"{paths.PCI_DEVICES}/")}
    files: dict[str, Text] = {}
    for gpu in fleet.gpus:
        folder = folder_of(gpu)
        files |= {path: tree.files[path] for name in _PCI_CORE if (path := f"{folder}/{name}") in tree.files}
        files |= dict(_bus(gpu, extras))
    return TreeText(files=files, links=links)


def _gpu_files(fleet: FleetSpec, gpu: GpuSpec, extras: Extras) -> Iterator[tuple[str, Text]]:
    folder, newer = folder_of(gpu), fleet.kernel == "7.x"
    resetting = gpu.address in extras.resetting
    model = MODELS[gpu.model]
    yield from _bus(gpu, extras)
    yield f"{folder}/gpu_busy_percent", Unreadable(errno="EBUSY" if newer else "EPERM") if resetting else "0\n"
    if resetting and newer and gpu.compute is not None:
        yield f"{folder}/{paths.COMPUTE_MODE}", Unreadable(errno="EPERM")
    if newer:
        yield f"{folder}/enforce_isolation", " ".join("0" * model.partitions(gpu.compute)) + "\n"
    if not gpu.virtual:
        yield from _ras(fleet, gpu, extras.counts, hidden=resetting)


def _bus(gpu: GpuSpec, extras: Extras) -> Iterator[tuple[str, Text]]:
    folder = folder_of(gpu)
    if gpu.address in extras.lost:
        yield f"{folder}/current_link_speed", "Unknown\n"
        yield f"{folder}/current_link_width", "63\n"
    if not gpu.virtual:
        for kind in AER:
            total = extras.counts.get((gpu.address, "aer", kind), 0)
            yield f"{folder}/aer_dev_{kind}", f"{_AER_NAMES[kind]} {total}\n"


def _ras(fleet: FleetSpec, gpu: GpuSpec, counts: Counts, *, hidden: bool) -> Iterator[tuple[str, Text]]:
    """Newer kernels name the counters of multi-XCC GPUs `aca_<block>` and count deferred errors there."""
    folder = f"{folder_of(gpu)}/ras"
    newer = fleet.kernel == "7.x"
    aca = newer and MODELS[gpu.model].xccs > 1
    yield f"{folder}/features", "feature mask: 0x3fffff\n"
    for block in BLOCKS:
        shown = KINDS if aca or (newer and block == "umc") else KINDS[:2]
        text = "".join(f"{kind}: {counts.get((gpu.address, f'ras/{block}', kind), 0)}\n" for kind in shown)
        name = f"aca_{block}" if aca else f"{block}_err_count"
        yield f"{folder}/{name}", "Query currently inaccessible\n" if hidden else text
    pages = counts.get((gpu.address, "badpages", "R"), 0)
    yield f"{folder}/gpu_vram_bad_pages", "".join(f"0x{page:08x} : 0x00001000 : R\n" for page in range(pages))
    fatal = counts.get((gpu.address, "event", "fatal"), 0)
    yield (
        f"{folder}/event_state",
        (
            f"current seqno: {fatal}\nFatal Error: count:{fatal}, last_seqno:{fatal}\n"
            "Poison Creation: count:0, last_seqno:0\nPoison Consumption: count:0, last_seqno:0\n"
        ),
    )


def _processes(tree: TreeText, holders: Mapping[int, frozenset[PciAddress]]) -> Iterator[tuple[str, Text]]:
    """A folder for each process, with files for each KFD node of the GPUs that it may use."""
    if not holders:
        return
    idents = list(_idents(tree))
    for pid, gpus in holders.items():
        folder = f"{KFD}/proc/{pid}"
        yield f"{folder}/pasid", f"{0x8000 + pid % 0x8000}\n"
        for address, ident in idents:
            if address in gpus:
                yield f"{folder}/vram_{ident}", "0\n"
                yield f"{folder}/sdma_{ident}", "0\n"


def _idents(tree: TreeText) -> Iterator[tuple[PciAddress, str]]:
    for number in tree.children(f"{KFD}/topology/nodes"):
        folder = f"{KFD}/topology/nodes/{number}"
        ident, properties = tree.files.get(f"{folder}/gpu_id"), tree.files.get(f"{folder}/properties")
        if isinstance(ident, str) and isinstance(properties, str) and ident.strip() != "0":
            values = dict(line.split() for line in properties.splitlines())
            location = int(values["location_id"])
            slot = PciAddress(int(values["domain"]), location >> 8 & 0xFF, location >> 3 & 0x1F)
            yield slot, ident.strip()

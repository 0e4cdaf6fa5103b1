"""`render(fleet) -> TreeText`: the tree that the kernel would show for such a node."""

from amdgpu_dra.core.fakegpu.fleet import Fault, FleetSpec
from amdgpu_dra.core.fakegpu.kfd import render_kfd
from amdgpu_dra.core.fakegpu.layout import History, probe
from amdgpu_dra.core.fakegpu.others import render_other_links, render_others
from amdgpu_dra.core.fakegpu.pci import render_links, render_pci, writable_files
from amdgpu_dra.core.gpu import TreeText, Unreadable


def render(fleet: FleetSpec, history: History | None = None) -> TreeText:
    """Files by their real paths, and the links that lead to them; faults last.

    Args:
        fleet: GPUs in the modes they are in now.
        history: what the driver has done since it was loaded; by default it was loaded just now. With a history, a
            fault whose file is gone by now is left out.

    Raises:
        ValueError: a fault names a file or folder that the tree of a driver just loaded does not have.
    """
    past = probe(fleet) if history is None else history
    made = (*render_kfd(fleet, past), *render_pci(fleet, past), *render_others(fleet))
    files: dict[str, str | Unreadable] = dict(made)
    links = dict([*render_links(fleet, past), *render_other_links(fleet)])
    for fault in fleet.faults:
        if not _spoil(TreeText(files=files, links=links), files, links, fault) and history is None:
            raise ValueError(f"faults: expected the path of a file of the tree, found {fault.path!r}")
    return TreeText(files=files, links=links, writable=frozenset(writable_files(fleet)) & files.keys())


def _spoil(tree: TreeText, files: dict[str, str | Unreadable], links: dict[str, str], fault: Fault) -> bool:
    path = fault.path if fault.path in links else tree.resolve(fault.path)
    below = [name for name in (*files, *links) if name == path or name.startswith(path + "/")]
    for name in below:
        if fault.errno is not None:
            files[name] = Unreadable(errno=fault.errno)
        elif fault.text is not None:
            files[name] = fault.text
        else:
            files.pop(name, None)
            links.pop(name, None)
    return bool(below)

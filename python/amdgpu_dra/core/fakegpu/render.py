"""`render(fleet) -> TreeText`: the tree that the kernel would show for such a node."""

from amdgpu_dra.core.fakegpu.fleet import Fault, FleetSpec
from amdgpu_dra.core.fakegpu.kfd import render_kfd
from amdgpu_dra.core.fakegpu.pci import render_links, render_pci, writable_files
from amdgpu_dra.core.gpu import TreeText, Unreadable


def render(fleet: FleetSpec) -> TreeText:
    """Files by their real paths, and the links that lead to them; faults last.

    Raises:
        ValueError: a fault names a file or folder that the tree does not have.
    """
    files: dict[str, str | Unreadable] = dict([*render_kfd(fleet), *render_pci(fleet)])
    links = dict(render_links(fleet))
    for fault in fleet.faults:
        _spoil(TreeText(files=files, links=links), files, links, fault)
    return TreeText(files=files, links=links, writable=frozenset(writable_files(fleet)) & files.keys())


def _spoil(tree: TreeText, files: dict[str, str | Unreadable], links: dict[str, str], fault: Fault) -> None:
    path = fault.path if fault.path in links else tree.resolve(fault.path)
    below = [name for name in (*files, *links) if name == path or name.startswith(path + "/")]
    if not below:
        raise ValueError(f"faults: expected the path of a file of the tree, found {fault.path!r}")
    for name in below:
        if fault.errno is not None:
            files[name] = Unreadable(errno=fault.errno)
        elif fault.text is not None:
            files[name] = fault.text
        else:
            files.pop(name, None)
            links.pop(name, None)

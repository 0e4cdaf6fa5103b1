"""Writes a tree: `sys` below a folder, and `dev` with a node for everything that the tree gives numbers to."""

import os
import re
import shutil
import stat
from pathlib import Path

from amdgpu_dra.api.errors import HostError, UsageError
from amdgpu_dra.core.gpu import DeviceNode, TreeText, Unreadable, parse, paths

# Marks a folder that was written here, so that it may be written over.
_OURS = ".amdgpu-fake-tree"
FAKE_MARKER = ".amdgpu-fake-dev"
_DRM = re.compile(r"(card|renderD)\d+")


def write_tree(tree: TreeText, out: Path, *, nodes: bool | None = None) -> None:
    """Writes `out/sys` and `out/dev`, in place of what an earlier call wrote there.

    Args:
        tree: rendered by `core/fakegpu`.
        out: a new or empty folder, or one written by an earlier call.
        nodes: real character devices (needs root), or ordinary files and a marker; by default as this user can.

    Raises:
        UsageError: the folder holds something else.
        HostError: it cannot be written.
    """
    make_ready(out)
    try:
        for path, text in tree.files.items():
            _write_file(out / "sys" / path, text)
            if path.endswith(paths.MODE_FILES):
                (out / "sys" / path).chmod(0o644 if path in tree.writable else 0o444)
        for path, target in tree.links.items():
            link = out / "sys" / path
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(target)
        write_nodes(tree, out / "dev", real=os.geteuid() == 0 if nodes is None else nodes)
    except OSError as error:
        raise HostError(
            f"fake tree {out}",
            expected="to write files and device nodes there",
            found=str(error),
            action="choose a folder on a file system that takes them",
        ) from error


def make_ready(out: Path) -> None:
    """Makes `out/sys` and `out/dev` empty folders.

    Raises:
        UsageError: `out` holds something that was not written here.
    """
    marker = out / _OURS
    if out.exists() and not marker.is_file() and any(out.iterdir()):
        raise UsageError(
            f"folder {out}",
            expected="a new or empty folder, or one that was rendered before",
            found="a folder that holds something else",
            action="choose another one",
        )
    for part in ("sys", "dev"):
        shutil.rmtree(out / part, ignore_errors=True)
        (out / part).mkdir(parents=True)
    marker.write_text("Written by fakegpu render; written over by the next one.\n")


def _write_file(path: Path, text: str | Unreadable) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(text, str):
        path.write_text(text)
        return
    # A plain folder cannot give an errno of our choice: EISDIR stands for every one, also for root.
    path.mkdir()


def write_nodes(tree: TreeText, dev: Path, *, real: bool) -> None:
    """Brings a folder of device nodes to what the tree states; nodes that stay are not touched."""
    if not real:
        (dev / FAKE_MARKER).write_text("Ordinary files stand here in place of device nodes.\n")
    wanted = {dev / node.path: node for node in list_nodes(tree)}
    for path in [dev / "kfd", *(dev / "dri").glob("*")]:
        if path not in wanted:
            path.unlink(missing_ok=True)
    for path, node in wanted.items():
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if real:
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(node.major, node.minor))
            path.chmod(0o666)
        else:
            path.touch()


def list_nodes(tree: TreeText) -> list[DeviceNode]:
    """The device nodes that the tree gives numbers to."""
    inventory = parse(tree)
    found = [inventory.kfd] if inventory.kfd is not None else []
    for name in sorted(tree.children(paths.DRM)):
        text = tree.find(f"{paths.DRM}/{name}/dev")
        if _DRM.fullmatch(name) and isinstance(text, str) and text.strip().replace(":", "").isdigit():
            major, _, minor = text.strip().partition(":")
            found.append(DeviceNode(path=f"dri/{name}", major=int(major), minor=int(minor)))
    return found

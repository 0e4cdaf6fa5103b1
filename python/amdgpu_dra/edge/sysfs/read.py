"""`read_tree(root) -> TreeText`."""

import errno
import os
from collections.abc import Callable, Collection, Iterator

from amdgpu_dra.api.errors import HostError
from amdgpu_dra.core.gpu import TreeText, Unreadable, paths

_LONGEST, _SHORT = 1 << 20, 4096
# A mount whose server is dead, or died during the call.
_DEAD = frozenset((errno.ENOTCONN, errno.ECONNABORTED))
_WRITE_BITS = 0o222


class _Tree:
    """Collects files and links below a root."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.files: dict[str, str | Unreadable] = {}
        self.links: dict[str, str] = {}
        self.writable: set[str] = set()

    def read(self, path: str) -> None:
        """One file, if it is there; of a mode file also whether it has a write bit."""
        try:
            handle = os.open(f"{self.root}/{path}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                if path.endswith(paths.MODE_FILES) and os.fstat(handle).st_mode & _WRITE_BITS:
                    self.writable.add(path)
                self.files[path] = os.read(handle, _LONGEST).decode("utf-8", "replace")
            finally:
                os.close(handle)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            self._check_alive(error)
            self.files[path] = Unreadable(errno=errno.errorcode.get(error.errno or 0, str(error.errno)))

    def peek(self, path: str) -> str:
        """The text of a small file, or the name of the error; a half of what `read` costs, since it is done often."""
        try:
            handle = os.open(f"{self.root}/{path}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                return os.read(handle, _SHORT).decode("latin-1")
            finally:
                os.close(handle)
        except OSError as error:
            self._check_alive(error)
            return errno.errorcode.get(error.errno or 0, "?")

    def link(self, path: str) -> None:
        """One symbolic link, if it is there."""
        try:
            self.links[path] = os.readlink(f"{self.root}/{path}")
        except OSError as error:
            self._check_alive(error)

    def names(self, folder: str) -> list[str]:
        """The names in a folder; none if it is not there.

        Raises HostError if it is and cannot be read: that its GPUs have gone is not what was found.
        """
        try:
            return sorted(os.listdir(f"{self.root}/{folder}"))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            self._check_alive(error)
            raise HostError(
                f"{self.root}/{folder}",
                expected="to list this folder",
                found=str(error.strerror),
                action="see dmesg for amdgpu, and whether the plugin may read sysfs; it is tried again",
            ) from error

    def _check_alive(self, error: OSError) -> None:
        """Raises HostError if the whole mount is dead: what was read so far is no tree, and no GPU has gone."""
        if error.errno in _DEAD:
            raise _no_sysfs(self.root, f"a mount that does not answer ({error.strerror})") from error

    def expand(self, folder: str, pattern: str) -> Iterator[str]:
        """Paths below `folder` that a pattern with `*` for one name names."""
        head, star, tail = pattern.partition("*/")
        if not star:
            yield f"{folder}/{pattern}"
            return
        for name in self.names(f"{folder}/{head.rstrip('/')}"):
            yield f"{folder}/{head}{name}/{tail}"


def read_tree(
    root: str,
    *,
    every_link: bool = False,
    without_modes: Collection[str] = (),
    on_mode: Callable[[str], None] = lambda _: None,
) -> TreeText:
    """Reads what `core/gpu` wants of a sysfs root; `every_link` adds KFD's links beyond the first of each node.

    The compute mode of the GPUs in `without_modes` is not read: while a GPU is being switched, the kernel holds up who
    reads it. `on_mode` is told the GPU whose mode is read next, and an empty text after that.

    A file that is there and cannot be read is kept as unreadable.

    Raises:
        HostError: the root is no folder, or an empty one; its mount died, also while it was read; or a folder of it is
            there and cannot be read.
    """
    try:
        found = "" if os.listdir(root) else "an empty folder"
    except OSError as error:
        found = str(error.strerror)
    if found:
        raise _no_sysfs(root, found)
    tree = _Tree(root.rstrip("/") or "/")
    for path in (paths.KFD_DEV, paths.GENERATION, paths.MODULE_VERSION):
        tree.read(path)
    _read_nodes(tree, (*paths.NODE_FILES, *(paths.NODE_LINKS if every_link else ())))
    for name in tree.names(paths.DRM):
        if name.startswith(("card", "renderD")) and "-" not in name:
            tree.link(f"{paths.DRM}/{name}")
            tree.read(f"{paths.DRM}/{name}/dev")
    _read_gpus(tree, without_modes, on_mode)
    return TreeText(files=tree.files, links=tree.links, writable=frozenset(tree.writable))


def _read_gpus(tree: _Tree, without_modes: Collection[str], on_mode: Callable[[str], None]) -> None:
    for name in tree.names(paths.AMDGPU_DRIVER):
        if ":" not in name:
            continue
        tree.link(f"{paths.AMDGPU_DRIVER}/{name}")
        tree.link(f"{paths.PCI_DEVICES}/{name}")
        if name not in without_modes:
            on_mode(name)
            tree.read(f"{paths.PCI_DEVICES}/{name}/{paths.COMPUTE_MODE}")
            on_mode("")
        for file in paths.PCI_FILES:
            if file != paths.COMPUTE_MODE:
                tree.read(f"{paths.PCI_DEVICES}/{name}/{file}")


def _no_sysfs(root: str, found: str) -> HostError:
    return HostError(
        f"sysfs root {root}",
        expected="a folder with the kernel's sysfs, or a fake tree",
        found=found,
        action="set --sysfs-root to where sysfs is mounted (/sys), or mount the fake tree again",
    )


def _read_nodes(tree: _Tree, patterns: tuple[str, ...]) -> None:
    for number in tree.names(paths.NODES):
        for pattern in patterns:
            for path in tree.expand(f"{paths.NODES}/{number}", pattern):
                tree.read(path)


def read_generation(root: str) -> int | None:
    """KFD's count of nodes that came and went; None if it cannot be read."""
    try:
        with open(f"{root}/{paths.GENERATION}", encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return None


def find_load(root: str) -> int | None:
    """Differs after each load of amdgpu, whose files are made anew, also where they say the same as before."""
    try:
        return os.stat(f"{root}/{paths.GENERATION}").st_ino
    except OSError:
        return None


def fingerprint(
    root: str, without_modes: Collection[str] = (), on_mode: Callable[[str], None] = lambda _: None
) -> tuple[str, ...]:
    """A few small files that differ whenever a GPU comes, goes or changes its mode; costs some 20 reads on 8 GPUs.

    KFD's generation rises with every node that is added or removed; no event is sent for a change of mode.
    """
    try:
        return (str(find_load(root)), *_fingerprint(_Tree(root.rstrip("/") or "/"), without_modes, on_mode))
    except HostError as error:
        # Differs from that of every tree, so that the next look at the tree says what is wrong.
        return (str(error),)


def _fingerprint(tree: _Tree, without_modes: Collection[str], on_mode: Callable[[str], None]) -> tuple[str, ...]:
    names = tree.names(paths.AMDGPU_DRIVER)
    seen = [tree.peek(paths.GENERATION), tree.peek(paths.MODULE_VERSION)]
    for name in names:
        if ":" in name:
            folder = f"{paths.PCI_DEVICES}/{name}"
            if name in without_modes:
                seen.append(f"without {name}")
            else:
                on_mode(name)
                seen.append(tree.peek(f"{folder}/{paths.COMPUTE_MODE}"))
                on_mode("")
            seen.append(tree.peek(f"{folder}/{paths.MEMORY_MODE}"))
    return (*names, *seen)

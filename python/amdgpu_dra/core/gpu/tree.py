"""A sysfs tree as text: what was read, and what could not be."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A file that is there but could not be read: the name of its errno (`EPERM`)."""

    errno: str


@dataclass(frozen=True, kw_only=True)
class TreeText:
    """Files and symbolic links below a sysfs root, by posix path without a leading slash.

    A file may be given by its real path, or by the path through links under which it was read; both are found.

    Attributes:
        files: path -> text with its line ends, or why it could not be read. A file that does not exist is not there.
        links: path of a symbolic link -> its target as written, relative to the folder of the link.
        writable: those of the mode files (`paths.MODE_FILES`) whose file mode has a write bit.
    """

    files: Mapping[str, str | Unreadable] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    writable: frozenset[str] = frozenset()

    @cached_property
    def _folders(self) -> dict[str, set[str]]:
        folders: dict[str, set[str]] = defaultdict(set)
        for paths in (self.files, self.links):
            for path in paths:
                head, _, name = path.rpartition("/")
                while name not in folders[head]:
                    folders[head].add(name)
                    head, _, name = head.rpartition("/")
        return dict(folders)

    def children(self, folder: str) -> Iterator[str]:
        """The names directly below `folder`, each once, in no particular order."""
        names = self._folders.get(folder)
        return iter(names if names is not None else self._folders.get(self.resolve(folder), ()))

    def find(self, path: str) -> str | Unreadable | None:
        """The file at `path`, links followed; None if there is none."""
        text = self.files.get(path)
        return text if text is not None else self.files.get(self.resolve(path))

    def is_writable(self, path: str) -> bool:
        """Whether the file at `path`, links followed, is known to have a write bit."""
        return path in self.writable or self.resolve(path) in self.writable

    def find_target(self, path: str) -> str | None:
        """Where the symbolic link `path` leads, as a path below the root; None if there is no such link."""
        target = self.links.get(path)
        if target is None:
            return None
        parts = [] if target.startswith("/") else path.split("/")[:-1]
        for part in target.strip("/").split("/"):
            if part == "..":
                parts = parts[:-1]
            elif part not in ("", "."):
                parts.append(part)
        return "/".join(parts)

    def resolve(self, path: str) -> str:
        """`path` with every link on it replaced by its target; a loop ends at the length of the path."""
        done = ""
        for part in path.split("/"):
            done = f"{done}/{part}" if done else part
            target = self.find_target(done)
            done = done if target is None else target
        return done

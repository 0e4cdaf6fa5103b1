"""An image as its OCI layout on disk, for the structure tests: no container engine is needed."""

import json
import os
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


class Layout:
    """One image of a layout: the only one, or that of an architecture."""

    def __init__(self, path: str, architecture: str = "") -> None:
        self.path, self._architecture = Path(path), architecture

    def blob(self, digest: str) -> Path:
        """The file of a digest."""
        return self.path / "blobs" / digest.replace(":", "/")

    def read(self, digest: str) -> Any:
        """A JSON blob."""
        return json.loads(self.blob(digest).read_text())

    @property
    def manifest(self) -> Any:
        """Of the image."""
        (described,) = json.loads((self.path / "index.json").read_text())["manifests"]
        found = self.read(described["digest"])
        if not self._architecture:
            return found
        (described,) = [item for item in found["manifests"] if item["platform"]["architecture"] == self._architecture]
        return self.read(described["digest"])

    @property
    def configuration(self) -> Any:
        """The whole configuration; what runs is under `config`."""
        return self.read(self.manifest["config"]["digest"])

    @property
    def environment(self) -> dict[str, str]:
        """The image's own."""
        return dict(pair.split("=", 1) for pair in self.configuration["config"]["Env"])

    @property
    def size(self) -> int:
        """Bytes of all layers, compressed."""
        return sum(layer["size"] for layer in self.manifest["layers"])

    def members(self) -> Iterator[tarfile.TarInfo]:
        """The headers of every layer."""
        for layer in self.manifest["layers"]:
            with tarfile.open(self.blob(layer["digest"])) as tar:
                yield from tar

    def unpack(self, root: Path) -> Path:
        """Unpacks the layers in their order; gives the root."""
        for layer in self.manifest["layers"]:
            with tarfile.open(self.blob(layer["digest"])) as tar:
                tar.extractall(root, filter="tar")
        return root

    def unpack_to_run(self, root: Path, *devices: tuple[str, int, int]) -> Path:
        """The same, with devices (name, major, minor) beside the one that every container has; skips without root."""
        if os.geteuid() != 0:
            pytest.skip("changing the root needs root")
        self.unpack(root)
        for name, major, minor in (("urandom", 1, 9), *devices):
            os.mknod(root / "dev" / name, 0o666 | stat.S_IFCHR, os.makedev(major, minor))
        return root

    def run(self, root: Path, *command: str) -> subprocess.CompletedProcess[str]:
        """A program in the unpacked root, with the image's environment and nothing of this test's."""
        return subprocess.run(
            self.command(root, *command),
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def command(self, root: Path, *command: str) -> list[str]:
        """What starts a program in the unpacked root."""
        return ["/usr/sbin/chroot", str(root), *command]


def programs(root: Path) -> list[str]:
    """The programs that are on PATH in any image."""
    return sorted(path.name for folder in ("usr/bin", "usr/sbin") for path in (root / folder).glob("*"))

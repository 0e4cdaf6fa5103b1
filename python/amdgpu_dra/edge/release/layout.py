"""OCI image layouts on disk, as Bazel leaves them."""

import hashlib
import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amdgpu_dra.api.errors import UsageError

_INDEX = "application/vnd.oci.image.index.v1+json"
_LICENCES = re.compile(r"usr/share/doc/([^/]+)/copyright")
_FOLDER = re.compile(r"usr/share/doc/([^/]+)")
_METADATA = re.compile(r".*/[^/]+\.dist-info/METADATA")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """An index in a layout.

    Attributes:
        path: of the layout.
        index: of images.
        read: its manifests and configurations by digest.
    """

    path: Path
    index: Mapping[str, Any]
    read: Mapping[str, Any]

    def blob(self, digest: str) -> Path:
        """The file of a digest."""
        return self.path / "blobs" / digest.replace(":", "/")

    def copyrights(self) -> dict[str, str]:
        """Debian package -> its copyright file, of the first image."""
        found = {match[1]: text for name, text in self._texts() if (match := _LICENCES.fullmatch(name))}
        # Packages of one source may share a folder.
        links = ((_FOLDER.fullmatch(each.name), each.linkname) for _, each in self._entries() if each.issym())
        return found | {
            match[1]: found[target.rpartition("/")[2]]
            for match, target in links
            if match and target.rpartition("/")[2] in found
        }

    def wheels(self) -> list[str]:
        """METADATA of each wheel in the first image."""
        return [text for name, text in self._texts() if _METADATA.fullmatch(name)]

    def _texts(self) -> Iterator[tuple[str, str]]:
        for tar, member in self._entries():
            wanted = _LICENCES.fullmatch(member.name) or _METADATA.fullmatch(member.name)
            if wanted and member.isreg() and (file := tar.extractfile(member)):
                yield member.name, file.read().decode(errors="replace")

    def _entries(self) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
        manifest = self.read[self.index["manifests"][0]["digest"]]
        for layer in manifest["layers"]:
            with tarfile.open(self.blob(layer["digest"])) as tar:
                for member in tar:
                    yield tar, member


def read_layout(path: Path) -> Layout:
    """The layout in a folder; its small blobs are checked against their digests.

    Raises:
        UsageError: it is none, or a blob is not what its name says.
    """
    try:
        top = json.loads((path / "index.json").read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path}/index.json", expected="an OCI image layout", found=str(error), action="build the image"
        ) from error
    entries = top["manifests"]
    # rules_oci makes the index a blob; a layout of images alone is an index itself.
    index = _json(path, entries[0]["digest"]) if [each["mediaType"] for each in entries] == [_INDEX] else top
    read = {}
    for item in index["manifests"]:
        manifest = read[item["digest"]] = _json(path, item["digest"])
        read[manifest["config"]["digest"]] = _json(path, manifest["config"]["digest"])
    return Layout(path=path, index=index, read=read)


def _json(path: Path, digest: str) -> Any:
    data = (path / "blobs" / digest.replace(":", "/")).read_bytes()
    found = f"sha256:{hashlib.sha256(data).hexdigest()}"
    if found != digest:
        raise UsageError(f"{path}", expected=f"a blob of {digest}", found=found, action="build the image anew")
    return json.loads(data)

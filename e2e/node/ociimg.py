"""Writes one OCI archive that holds several images, for the node's container runtime.

    ociimg.py SPEC.json OUT.tar

SPEC: {"layers": {NAME: {PATH_IN_IMAGE: HOST_FILE | "->TARGET"}},
       "images": [{"ref": REF, "layers": [NAME…], "config": {…}}]}
Layers and blobs are shared between the images; no times, owner 0.
"""

import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path

_MEDIA = "application/vnd.oci.image."


def make_layer(files: dict[str, str]) -> bytes:
    """A tar of files and links, with their folders before them."""
    buffer = io.BytesIO()
    folders: set[str] = set()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, source in sorted(files.items()):
            parts = name.strip("/").split("/")
            for depth in range(1, len(parts)):
                folder = "/".join(parts[:depth])
                if folder not in folders:
                    folders.add(folder)
                    info = tarfile.TarInfo(folder)
                    info.type, info.mode = tarfile.DIRTYPE, 0o755
                    tar.addfile(info)
            info = tarfile.TarInfo("/".join(parts))
            if source.startswith("->"):
                info.type, info.linkname = tarfile.SYMTYPE, source[2:]
                tar.addfile(info)
            else:
                data = Path(source).read_bytes()
                info.size, info.mode = len(data), 0o755
                tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


class Archive:
    """An OCI layout in a tar; each blob once."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._done: set[str] = set()

    def add(self, name: str, data: bytes) -> None:
        """One file."""
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(data), 0o644
        self._tar.addfile(info, io.BytesIO(data))

    def blob(self, data: bytes, kind: str) -> dict[str, object]:
        """Stores bytes by their hash and describes them."""
        digest = hashlib.sha256(data).hexdigest()
        if digest not in self._done:
            self._done.add(digest)
            self.add("blobs/sha256/" + digest, data)
        return {"mediaType": _MEDIA + kind, "digest": f"sha256:{digest}", "size": len(data)}


def main() -> int:
    """Writes the archive that the specification describes."""
    spec = json.loads(Path(sys.argv[1]).read_text())
    with tarfile.open(sys.argv[2], "w") as tar:
        archive = Archive(tar)
        layers = {name: archive.blob(make_layer(files), "layer.v1.tar") for name, files in spec["layers"].items()}
        index = []
        for image in spec["images"]:
            used = [layers[name] for name in image["layers"]]
            config = {
                "architecture": "amd64",
                "os": "linux",
                "config": image.get("config", {}),
                "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in used]},
            }
            manifest = {
                "schemaVersion": 2,
                "mediaType": _MEDIA + "manifest.v1+json",
                "config": archive.blob(json.dumps(config).encode(), "config.v1+json"),
                "layers": used,
            }
            described = archive.blob(json.dumps(manifest).encode(), "manifest.v1+json")
            described["platform"] = {"os": "linux", "architecture": "amd64"}
            described["annotations"] = {
                "io.containerd.image.name": image["ref"],
                "org.opencontainers.image.ref.name": image["ref"],
            }
            index.append(described)
        archive.add("index.json", json.dumps({"schemaVersion": 2, "manifests": index}).encode())
        archive.add("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    return 0


if __name__ == "__main__":
    sys.exit(main())

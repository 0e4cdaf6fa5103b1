"""Writes an OCI image layout, or one as an archive; the same input gives the same bytes.

layout.py image OUT CONFIG.json LAYER…
layout.py index OUT LAYOUT…
layout.py archive OUT.tar LAYOUT TAG…
"""

import gzip
import hashlib
import io
import json
import shutil
import sys
import tarfile
from pathlib import Path

_MEDIA = "application/vnd.oci.image."


class Layout:
    """A folder of blobs and an index."""

    def __init__(self, out: Path) -> None:
        self.out = out
        (out / "blobs/sha256").mkdir(parents=True, exist_ok=True)

    def blob(self, data: bytes, kind: str) -> dict[str, object]:
        """Stores bytes by their hash and describes them."""
        digest = hashlib.sha256(data).hexdigest()
        (self.out / "blobs/sha256" / digest).write_bytes(data)
        return {"mediaType": _MEDIA + kind, "digest": f"sha256:{digest}", "size": len(data)}

    def json_blob(self, value: object, kind: str) -> dict[str, object]:
        """The same for JSON."""
        return self.blob(json.dumps(value, sort_keys=True, separators=(",", ":")).encode(), kind)


def image(out: Path, config: dict[str, object], tars: list[Path]) -> None:
    """One image of these layers."""
    layout = Layout(out)
    layers, plain = [], []
    for path in tars:
        data = path.read_bytes()
        packed = data[:2] == b"\x1f\x8b"
        layers.append(layout.blob(data, "layer.v1.tar+gzip" if packed else "layer.v1.tar"))
        plain.append("sha256:" + hashlib.sha256(gzip.decompress(data) if packed else data).hexdigest())
    env = config["env"]
    run = {
        "Entrypoint": config["entrypoint"],
        "Cmd": config["cmd"],
        "Env": [f"{name}={value}" for name, value in sorted(env.items())] if isinstance(env, dict) else [],
        "Labels": config["labels"],
        "User": config["user"],
        "WorkingDir": config["workdir"],
    }
    described = layout.json_blob(
        {
            "architecture": config["architecture"],
            "os": config["os"],
            "config": {name: value for name, value in run.items() if value},
            "rootfs": {"type": "layers", "diff_ids": plain},
        },
        "config.v1+json",
    )
    manifest = layout.json_blob(
        {"schemaVersion": 2, "mediaType": _MEDIA + "manifest.v1+json", "config": described, "layers": layers},
        "manifest.v1+json",
    )
    manifest["platform"] = {"architecture": config["architecture"], "os": config["os"]}
    _finish(out, [manifest])


def index(out: Path, layouts: list[Path]) -> None:
    """One index of the images of these layouts, itself a blob."""
    layout = Layout(out)
    manifests = []
    for image_layout in layouts:
        for path in sorted((image_layout / "blobs/sha256").iterdir()):
            # Images share layers.
            if not (target := out / "blobs/sha256" / path.name).exists():
                shutil.copyfile(path, target)
        manifests += json.loads((image_layout / "index.json").read_text())["manifests"]
    value = {"schemaVersion": 2, "mediaType": _MEDIA + "index.v1+json", "manifests": manifests}
    _finish(out, [layout.json_blob(value, "index.v1+json")])


def _finish(out: Path, manifests: list[dict[str, object]]) -> None:
    index = {"schemaVersion": 2, "mediaType": _MEDIA + "index.v1+json", "manifests": manifests}
    (out / "index.json").write_text(json.dumps(index, sort_keys=True))
    (out / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def archive(out: Path, layout: Path, tags: list[str]) -> None:
    """A layout as one tar, each image under each tag."""
    index = json.loads((layout / "index.json").read_text())
    index["manifests"] = [
        {**manifest, "annotations": {"io.containerd.image.name": tag, "org.opencontainers.image.ref.name": tag}}
        for manifest in index["manifests"]
        for tag in tags
    ]
    with tarfile.open(out, "w", format=tarfile.GNU_FORMAT) as tar:
        for path in sorted(layout.rglob("*")):
            if path.is_file():
                name = str(path.relative_to(layout))
                data = json.dumps(index, sort_keys=True).encode() if name == "index.json" else path.read_bytes()
                info = tarfile.TarInfo(name)
                info.size, info.mode = len(data), 0o644
                tar.addfile(info, io.BytesIO(data))


def main() -> int:
    """Does what the arguments ask for."""
    kind, out, *rest = sys.argv[1:]
    if kind == "image":
        image(Path(out), json.loads(Path(rest[0]).read_text()), [Path(path) for path in rest[1:]])
    elif kind == "index":
        index(Path(out), [Path(path) for path in rest])
    else:
        archive(Path(out), Path(rest[0]), rest[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Writes layers of an image: gzipped tars whose bytes depend on nothing but their input.

layer.py debian OUT PACKAGE.deb…
layer.py python OUT MANIFEST PROGRAM MODULE
"""

import gzip
import importlib.util
import io
import lzma
import py_compile
import re
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

# What a container never reads, and what has no place without a package manager. Copyright files stay.
_LEFT_OUT = re.compile(
    r"usr/share/(?!doc/[^/]+/copyright$|ca-certificates|zoneinfo|mime)(?!doc$|doc/[^/]+$)[^/]+(/.*)?"
    r"|usr/lib/python3\.13/(test|idlelib|lib2to3|ensurepip|turtledemo|pydoc_data|tkinter|distutils)(/.*)?"
    r"|usr/(bin|sbin)/(?!python3\.13$).*"
    r"|usr/lib/(systemd|tmpfiles\.d|udev)(/.*)?|(etc|var|lib/systemd)/.*|usr/lib/valgrind(/.*)?"
    r"|usr/share/doc/(?![^/]+$|[^/]+/copyright$).*"
)
_SITE = re.compile(r".*?/(?:site|site-packages)/(.+)")
_PYTHON_LEFT_OUT = re.compile(r".*(\.pyi|\.dist-info/RECORD|/(tests|docs)/.*|^bin/.*|_test\.py)|bin/.*")
_APP, _SITE_PACKAGES = "usr/lib/amdgpu-dra", "usr/lib/python3/dist-packages"
_LAUNCHER = """#!/usr/bin/python3.13 -I
import sys
sys.path.insert(0, "/usr/lib/amdgpu-dra")
from {module} import main
sys.exit(main())
"""


class Layer:
    """Files by path, written in order with fixed owners and times."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[tarfile.TarInfo, bytes]] = {}

    def add(
        self, path: str, data: bytes = b"", *, mode: int = 0o644, kind: bytes = tarfile.REGTYPE, link: str = ""
    ) -> None:
        """An entry, and its folders if they are not there."""
        path = _merged(path.strip("/"))
        parts = path.split("/")
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth])
            if folder not in self._entries:
                self._entries[folder] = (_info(folder, 0o755, tarfile.DIRTYPE, "", 0), b"")
        self._entries[path] = (_info(path, mode & ~0o6022, kind, link, len(data)), data)

    def write(self, out: Path) -> None:
        """The tar, compressed without a name or time of its own."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
            for path in sorted(self._entries):
                info, data = self._entries[path]
                tar.addfile(info, io.BytesIO(data))
        with (
            out.open("wb") as file,
            gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=9) as packed,
        ):
            packed.write(buffer.getvalue())


def _info(path: str, mode: int, kind: bytes, link: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.type, info.mode, info.linkname, info.size = kind, mode, link, size
    return info


def _merged(path: str) -> str:
    """Debian's merged /usr: /bin, /sbin and /lib are links."""
    return re.sub(r"^(bin|sbin|lib|lib64)/", r"usr/\1/", path)


def deb_data(deb: Path) -> tarfile.TarFile:
    """The files of a Debian package (deb(5): an ar archive with data.tar)."""
    data = deb.read_bytes()
    position = 8
    while position < len(data):
        header = data[position : position + 60]
        name, size = header[:16].decode().strip().rstrip("/"), int(header[48:58])
        body = data[position + 60 : position + 60 + size]
        if name == "data.tar.xz":
            return tarfile.open(fileobj=io.BytesIO(lzma.decompress(body)))
        if name.startswith("data.tar") and name != "data.tar.zst":
            return tarfile.open(fileobj=io.BytesIO(body))
        position += 60 + size + size % 2
    raise SystemExit(f"{deb}: expected a Debian package with data.tar.xz, found none")


def debian(layer: Layer, debs: list[Path]) -> None:
    """Unpacks packages; does what their scripts would do and a container needs."""
    certificates: dict[str, bytes] = {}
    for deb in sorted(debs, key=lambda path: path.name):
        with deb_data(deb) as tar:
            for member in tar:
                _add_member(layer, tar, member, certificates)
    for name in ("bin", "sbin", "lib", "lib64"):
        layer.add(name, kind=tarfile.SYMTYPE, link=f"usr/{name}", mode=0o777)
    layer.add("etc/ssl/certs/ca-certificates.crt", b"".join(certificates[name] for name in sorted(certificates)))
    layer.add(
        "etc/passwd",
        b"root:x:0:0:root:/root:/usr/sbin/nologin\nnonroot:x:65532:65532::/home/nonroot:/usr/sbin/nologin\n",
    )
    layer.add("etc/group", b"root:x:0:\nvideo:x:44:\nrender:x:992:\nnonroot:x:65532:\n")
    layer.add("etc/nsswitch.conf", b"hosts: files dns\n")
    layer.add("usr/bin/python3", kind=tarfile.SYMTYPE, link="python3.13", mode=0o777)
    for folder, mode in (
        ("tmp", 0o755),
        ("root", 0o700),
        ("run", 0o755),
        ("var", 0o755),
        ("proc", 0o755),
        ("sys", 0o755),
    ):
        layer.add(folder, kind=tarfile.DIRTYPE, mode=mode)
    layer.add("dev", kind=tarfile.DIRTYPE, mode=0o755)


def _add_member(layer: Layer, tar: tarfile.TarFile, member: tarfile.TarInfo, certificates: dict[str, bytes]) -> None:
    path = _merged(member.name.removeprefix("./").strip("/"))
    data = b""
    if member.isreg():
        extracted = tar.extractfile(member)
        data = extracted.read() if extracted else b""
    if path.startswith("usr/share/ca-certificates/") and path.endswith(".crt"):
        certificates[path] = data if data.endswith(b"\n") else data + b"\n"
    elif not path or _LEFT_OUT.fullmatch(path) or member.isdir():
        return
    elif member.issym():
        layer.add(path, kind=tarfile.SYMTYPE, link=member.linkname, mode=0o777)
    elif member.islnk():
        layer.add(path, kind=tarfile.LNKTYPE, link=_merged(member.linkname.removeprefix("./")), mode=member.mode)
    elif member.isreg():
        layer.add(path, data, mode=member.mode)
        _add_compiled(layer, path, data)


def _add_compiled(layer: Layer, path: str, data: bytes) -> None:
    """The .pyc beside a module, by the hash of its source and not by its time, and never checked."""
    if not path.endswith(".py"):
        return
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "source.py", Path(folder) / "target.pyc"
        source.write_bytes(data)
        try:
            py_compile.compile(
                str(source),
                str(target),
                dfile="/" + path,
                doraise=True,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )
        except py_compile.PyCompileError:
            return  # a template or a test of syntax: it is not imported
        cached = importlib.util.cache_from_source("/" + path)
        layer.add(cached, target.read_bytes())


def _python_files(manifest: Path) -> Iterator[tuple[str, Path]]:
    """Where each file goes: third parties' beside each other, ours below its import root."""
    for line in manifest.read_text().splitlines():
        path, short = line.split("\t")
        if match := _SITE.fullmatch(short):
            if not _PYTHON_LEFT_OUT.fullmatch(match[1]):
                yield f"{_SITE_PACKAGES}/{match[1]}", Path(path)
        elif short.startswith(("python/", "proto/")) and not short.endswith((".pyi", "_test.py")):
            yield f"{_APP}/{short.split('/', 1)[1]}", Path(path)


def python(layer: Layer, manifest: Path, program: str, module: str) -> None:
    """Modules with their compiled form, and a program that runs one."""
    for target, path in sorted(_python_files(manifest)):
        data = path.read_bytes()
        layer.add(target, data, mode=0o755 if target.endswith(".so") else 0o644)
        _add_compiled(layer, target, data)
    if program:
        layer.add(f"usr/bin/{program}", _LAUNCHER.format(module=module).encode(), mode=0o755)


def main() -> int:
    """Writes the layer that the arguments ask for."""
    kind, out, *rest = sys.argv[1:]
    layer = Layer()
    if kind == "debian":
        debian(layer, [Path(path) for path in rest])
    else:
        python(layer, Path(rest[0]), rest[1], rest[2])
    layer.write(Path(out))
    return 0


if __name__ == "__main__":
    sys.exit(main())

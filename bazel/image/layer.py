"""Writes layers of an image: gzipped tars whose bytes depend on nothing but their input.

layer.py debian OUT PACKAGE.deb…
layer.py python OUT MANIFEST
layer.py files OUT PACKAGE.deb…     (only the packages' files, without what a base adds)
layer.py file OUT NAME PACKAGE.deb…     (one file, the first whose path ends with NAME)

A manifest is lines of two fields with a tab between: PROGRAM and MODULE, or nothing; then PATH and SHORT_PATH of each
file.
"""

import gzip
import importlib.util
import io
import lzma
import marshal
import re
import sys
import tarfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

# What a container never reads, what has no place without a package manager, modules for tests, and modules whose
# libraries the lock leaves out. Copyright files stay.
_LEFT_OUT = re.compile(
    r"usr/share/(?!doc/[^/]+/copyright$|ca-certificates|zoneinfo|mime)(?!doc$|doc/[^/]+$)[^/]+(/.*)?"
    r"|usr/lib/python3\.13/(test|idlelib|lib2to3|ensurepip|turtledemo|pydoc_data|tkinter|distutils)(/.*)?"
    r"|usr/lib/python3\.13/sitecustomize\.py"
    r"|usr/lib/python3\.13/lib-dynload/(_test|_ctypes_test|_?xx|_curses|readline\.|_dbm\.).*"
    r"|usr/lib/[^/]+/((gconv|engines-3)(/.*)?|lib(memusage|pcprofile|c_malloc_debug|thread_db|mvec)\..*)"
    r"|usr/(bin|sbin)/(?!python3\.13$).*"
    r"|usr/lib/(systemd|tmpfiles\.d|udev)(/.*)?|(etc|var|lib/systemd)/.*|usr/lib/valgrind(/.*)?"
    r"|usr/share/doc/(?![^/]+$|[^/]+/copyright$).*"
)
_SITE = re.compile(r".*?/(?:site|site-packages)/(.+)")
# Types, tests, programs, and what tells only how a wheel was installed.
_PYTHON_LEFT_OUT = re.compile(
    r".*(\.pyi|\.dist-info/(RECORD|INSTALLER|REQUESTED|direct_url\.json)|/(tests|docs)/.*|_test\.py|/pytest_plugin\.py|/test_utils\.py)|bin/.*"
)
_OURS = re.compile(r"(?:python|proto)/(?!amdgpu_dra/testing/)(.+(?<!\.pyi)(?<!_test\.py))")
_APP, _SITE_PACKAGES = "usr/lib/amdgpu-dra", "usr/lib/python3/dist-packages"
# The first process of a container is deaf to a signal that it has no handler for: a pod that is told to end while its
# program is still being loaded would be killed at the end of its grace period. The program then sets its own.
_LAUNCHER = """#!/usr/bin/python3.13 -I
import os, signal, sys
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: os._exit(0))
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

    def has(self, path: str) -> bool:
        """Whether there is such an entry."""
        return path in self._entries

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
    # Not every architecture has its loader in lib64.
    for name in ("bin", "sbin", "lib", *(["lib64"] if layer.has("usr/lib64") else [])):
        layer.add(name, kind=tarfile.SYMTYPE, link=f"usr/{name}", mode=0o777)
    layer.add("etc/ssl/certs/ca-certificates.crt", b"".join(certificates[name] for name in sorted(certificates)))
    # Where OpenSSL looks by itself.
    layer.add("usr/lib/ssl/cert.pem", kind=tarfile.SYMTYPE, link="/etc/ssl/certs/ca-certificates.crt", mode=0o777)
    layer.add(
        "etc/passwd",
        b"root:x:0:0:root:/root:/usr/sbin/nologin\nnonroot:x:65532:65532::/home/nonroot:/usr/sbin/nologin\n",
    )
    layer.add("etc/group", b"root:x:0:\nvideo:x:44:\nrender:x:992:\nnonroot:x:65532:\n")
    layer.add("etc/nsswitch.conf", b"hosts: files dns\n")
    layer.add("usr/bin/python3", kind=tarfile.SYMTYPE, link="python3.13", mode=0o777)
    for folder in ("dev", "proc", "run", "sys", "tmp", "usr/sbin", "var"):
        layer.add(folder, kind=tarfile.DIRTYPE, mode=0o755)
    layer.add("root", kind=tarfile.DIRTYPE, mode=0o700)


def files(layer: Layer, debs: list[Path]) -> None:
    """Unpacks packages on top of a base."""
    for deb in sorted(debs, key=lambda path: path.name):
        with deb_data(deb) as tar:
            for member in tar:
                _add_member(layer, tar, member, {})


def one_file(name: str, debs: list[Path]) -> bytes:
    """The file whose path ends with that name, links followed."""
    for deb in debs:
        with deb_data(deb) as tar:
            for member in tar:
                if f"/{member.name}".endswith(f"/{name}") and (extracted := tar.extractfile(member)) is not None:
                    return extracted.read()
    raise SystemExit(f"{name}: expected it in one of {', '.join(map(str, debs))}, found nothing")


def _add_member(layer: Layer, tar: tarfile.TarFile, member: tarfile.TarInfo, certificates: dict[str, bytes]) -> None:
    path = _merged(member.name.removeprefix("./").strip("/"))
    data = b""
    if member.isreg() or member.islnk():
        extracted = tar.extractfile(member)
        data = extracted.read() if extracted else b""
    if path.startswith("usr/share/ca-certificates/") and path.endswith(".crt"):
        certificates[path] = data if data.endswith(b"\n") else data + b"\n"
    elif not path or _LEFT_OUT.fullmatch(path) or member.isdir():
        return
    elif member.issym():
        layer.add(path, kind=tarfile.SYMTYPE, link=member.linkname, mode=0o777)
    elif member.isreg() or member.islnk():
        layer.add(path, data, mode=member.mode)
        _add_compiled(layer, path, data)


def _add_compiled(layer: Layer, path: str, data: bytes) -> None:
    """The .pyc beside a module, by the hash of its source and not by its time, and never checked (PEP 552)."""
    if not path.endswith(".py"):
        return
    try:
        with warnings.catch_warnings(action="ignore"):
            code = compile(data, f"/{path}", "exec", dont_inherit=True, optimize=0)
    except SyntaxError:
        return  # a template or a test of syntax: it is not imported
    header = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + importlib.util.source_hash(data)
    layer.add(importlib.util.cache_from_source(f"/{path}"), header + _marshalled(code))


def _marshalled(code: CodeType) -> bytes:
    """The bytes of a code object, whatever else this process has loaded and compiled.

    Two things would show it: marshal marks what has more than one reference, so each object gets one of ours; and a
    constant that equals a qualified name is that very object only if the process has not interned the name before.
    """
    names = {part.co_qualname for part in _objects(code) if isinstance(part, CodeType)}
    canonical = _interned(code, names)
    held = list(_objects(canonical))
    data = marshal.dumps(canonical)
    del held
    return data


def _interned(value: Any, names: set[str]) -> Any:
    """The same code, with constants that equal one of these names being that name."""
    if isinstance(value, CodeType):
        return value.replace(co_consts=tuple(_interned(item, names) for item in value.co_consts))
    if isinstance(value, tuple):
        return tuple(_interned(item, names) for item in value)
    return sys.intern(value) if isinstance(value, str) and value in names else value


def _objects(value: object) -> Iterator[object]:
    """Everything that a code object is made of."""
    yield value
    if isinstance(value, CodeType):
        # co_code makes its bytes at the first look and keeps them.
        yield from (value.co_code, value.co_filename, value.co_name, value.co_qualname)
        yield from (value.co_linetable, value.co_exceptiontable)
        for part in (value.co_consts, value.co_names, value.co_varnames, value.co_cellvars, value.co_freevars):
            yield from _objects(part)
    elif isinstance(value, tuple | frozenset):
        for item in value:
            yield from _objects(item)


def _python_files(rows: list[str]) -> Iterator[tuple[str, Path]]:
    """Where each file goes: third parties' beside each other, ours below its import root."""
    for row in rows:
        path, short = row.split("\t")
        if match := _SITE.fullmatch(short):
            if not _PYTHON_LEFT_OUT.fullmatch(match[1]):
                yield f"{_SITE_PACKAGES}/{match[1]}", Path(path)
        elif match := _OURS.fullmatch(short):
            yield f"{_APP}/{match[1]}", Path(path)


def python(layer: Layer, manifest: Path) -> None:
    """Modules with their compiled form, and a program that runs one."""
    head, *rows = manifest.read_text().splitlines()
    program, module = head.split("\t")
    for target, path in sorted(_python_files(rows)):
        data = path.read_bytes()
        layer.add(target, data, mode=0o755 if target.endswith(".so") else 0o644)
        _add_compiled(layer, target, data)
    if program:
        layer.add(f"usr/bin/{program}", _LAUNCHER.format(module=module).encode(), mode=0o755)


def main() -> int:
    """Writes the layer that the arguments ask for."""
    kind, out, *rest = sys.argv[1:]
    layer = Layer()
    paths = [Path(path) for path in rest]
    match kind:
        case "debian":
            debian(layer, paths)
        case "files":
            files(layer, paths)
        case "file":
            Path(out).write_bytes(one_file(rest[0], paths[1:]))
            return 0
        case _:
            python(layer, paths[0])
    layer.write(Path(out))
    return 0


if __name__ == "__main__":
    sys.exit(main())

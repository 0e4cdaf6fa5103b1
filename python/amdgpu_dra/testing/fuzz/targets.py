"""The parsers, each as a function of bytes that raises only if the parser does what it must not."""

import asyncio
import hashlib
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Self

from amdgpu_dra.api.checkpoint import CorruptRecordError, NewerRecordError, decode_record, encode_record
from amdgpu_dra.api.config import decode_config
from amdgpu_dra.api.errors import DriverError, UsageError
from amdgpu_dra.apps.kubelet_plugin.flags import FLAGS, parse_flags
from amdgpu_dra.core.allocate import DecodeError, decode_claim, decode_class, decode_node, decode_slice
from amdgpu_dra.core.claims import (
    Here,
    Holdings,
    Missing,
    Seen,
    find_record,
    is_missing,
    judge,
    name_in,
    plan_claim,
    plan_record,
)
from amdgpu_dra.core.devices import Layout, Listing, describe, list_devices
from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.core.gpu import TreeText, Unreadable, parse
from amdgpu_dra.core.slices import build_slices, diff_slices
from amdgpu_dra.edge.faketree import read_fleet
from amdgpu_dra.edge.kube import Connection, KubeApi
from amdgpu_dra.edge.manifest import read_manifests
from amdgpu_dra.testing.fuzz.server import run_grpc

# Of an answer, so that events of a watch are cut anywhere.
_PIECE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A parser: its name, which is its corpus folder's, what it reads, and the function of bytes.

    `examples` is how many a test tries; the long run tries what time allows.
    """

    name: str
    reads: str
    run: Callable[[bytes], None]
    examples: int = 60


def _tell(error: object) -> None:
    """An error is told to the kubelet, in a log or in an Event: it must be a text that can be sent."""
    str(error).encode()


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def run_record(data: bytes) -> None:
    """The bytes as they are, and as the first line of a record whose checksum is right."""
    for whole in (data, data + b"\n" + hashlib.sha256(data).hexdigest().encode() + b"\n"):
        try:
            record = decode_record(whole)
        except (CorruptRecordError, NewerRecordError) as error:
            _tell(error)
            continue
        assert decode_record(encode_record(record)) == record
        _tell(ValueError(record))
        try:
            plan_record(record, node="n1", listing=_listing(), dev_root="/dev")
        except DriverError as error:
            _tell(error)


def run_config(data: bytes) -> None:
    """An opaque configuration."""
    for error in decode_config(_json(data), "config"):
        _tell(error)


@cache
def _listing() -> Listing:
    return list_devices(parse(render(_small("mi300x-8-spx"))), Layout(dynamic=True))


def _small(name: str) -> Any:
    fleet = read_fleet(name)
    return replace(fleet, gpus=fleet.gpus[:2])


class _Answer:
    """What an HTTP library gives: a status, and bytes that come at once or in pieces."""

    def __init__(self, data: bytes, status: int) -> None:
        self.status, self._data = status, data
        self.headers: dict[str, str] = {}
        self.content = self

    async def read(self) -> bytes:
        return self._data

    async def iter_any(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self._data), _PIECE):
            yield self._data[at : at + _PIECE]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Nothing is open."""


class _Link:
    """In place of an HTTP session."""

    failures = (TimeoutError, OSError)

    def __init__(self, answer: _Answer, *, tells_versions: bool) -> None:
        self._answer, self._tells_versions = answer, tells_versions

    async def ask(self, _method: str, path: str, *_arguments: object) -> Awaitable[_Answer]:
        if self._tells_versions and path == "/apis/resource.k8s.io":
            return self._get(_Answer(b'{"versions": [{"version": "v1"}, {"version": "v1beta1"}]}', 200))
        return self._get(self._answer)

    async def _get(self, answer: _Answer) -> _Answer:
        return answer


def _api(data: bytes, *, tells_versions: bool = True) -> KubeApi:
    """The real client whose server answers these bytes; the first tells the status. v1 is served, or they say what."""
    status = 404 if data[:1] == b"4" else 500 if data[:1] == b"5" else 200
    connection: Any = Connection("")
    link = _Link(_Answer(data, status), tells_versions=tells_versions)
    connection._link = link  # noqa: SLF001 - in place of HTTP
    return KubeApi(connection, driver="gpu.amd.com", node="n1")


def run_api_claim(data: bytes) -> None:
    """A claim of the API server, up to the record of its Prepare; and the same bytes as a list of claims."""

    async def ask() -> None:
        try:
            claim = await _api(data).get_claim("ns", "c")
            record = plan_claim(claim, claim.uid, node="n1", listing=_listing(), boot_id="b")
            assert decode_record(encode_record(record)) == record
            _tell(ValueError(record))
        except DriverError as error:
            _tell(error)
        with suppress(DriverError):
            async for claim in _api(data).list_claims():
                is_missing(claim, Missing(all=True), "n1", Holdings())

    asyncio.run(ask())


@cache
def _wanted() -> tuple[Any, ...]:
    devices = tuple(describe(device)[0] for device in _listing().devices)
    return build_slices(devices, _listing().counter_sets, node="n1", node_uid="u")


def run_api_slices(data: bytes) -> None:
    """A list of slices, and the same bytes as a watch, as one slice, as a node and as a version."""

    async def ask() -> None:
        for call in (_list, _watch, _try, _other):
            for tells_versions in (True, False):
                try:
                    await call(_api(data, tells_versions=tells_versions))
                except DriverError as error:
                    _tell(error)

    asyncio.run(ask())


async def _list(api: KubeApi) -> None:
    found, version = await api.list_slices()
    assert isinstance(version, str)
    diff_slices(_wanted(), found)


async def _watch(api: KubeApi) -> None:
    async for event in api.watch_slices("1", 300):
        assert isinstance(event.version, str)
        event.version.encode()
        assert event.item is None or isinstance(event.item.name, str)


async def _try(api: KubeApi) -> None:
    await api.try_slice(_wanted()[0])


async def _other(api: KubeApi) -> None:
    assert isinstance(await api.get_version(), str)
    assert isinstance(await api.get_node_uid(), str)


def run_objects(data: bytes) -> None:
    """Slices, claims, classes and nodes as the allocator reads them."""
    raw = _json(data)
    for decode in (decode_slice, decode_claim, decode_class, decode_node):
        try:
            decode(raw)
        except DecodeError as error:
            _tell(error)


def run_tree(data: bytes) -> None:
    """A sysfs tree: `files`, `links` and `unreadable` by path."""
    raw = _json(data)
    raw = raw if isinstance(raw, dict) else {"files": {"class/kfd/kfd/dev": data.decode("utf-8", "replace")}}
    files: dict[str, str | Unreadable] = dict(_texts(raw.get("files")))
    files |= {path: Unreadable(errno=name) for path, name in _texts(raw.get("unreadable"))}
    inventory = parse(TreeText(files=files, links=dict(_texts(raw.get("links"))), writable=frozenset(files)))
    for layout in (Layout(), Layout(dynamic=True)):
        listing = list_devices(inventory, layout)
        for device in listing.devices:
            describe(device)


def _texts(found: Any) -> Iterable[tuple[str, str]]:
    # The kernel's text is decoded with replacement: it has no surrogates. A name has at most 255 bytes.
    for path, text in found.items() if isinstance(found, dict) else ():
        yield path.encode("utf-8", "replace").decode()[:4096], str(text).encode("utf-8", "replace").decode()


def run_document(data: bytes) -> None:
    """A CDI document, by which an orphan is asked for."""
    name = name_in(data)
    if name is not None:
        "/".join(name).encode()
    here = Here(node="n1", boot_id="b", dev_root="/dev", listing=_listing(), held=Holdings())
    judge("u", Seen(document=data), here)
    record = find_record("u", data, "n1")
    if record is not None:
        Holdings([record]).find_conflict(record)


def run_kubeconfig(data: bytes) -> None:
    """Credentials."""

    async def read(path: str) -> None:
        connection = Connection(path)
        try:
            await connection.open()
        except UsageError as error:
            _tell(error)
        finally:
            await connection.close()

    _on_file(data, lambda path: asyncio.run(read(path)))


def _on_file(data: bytes, read: Callable[[str], object]) -> None:
    with tempfile.TemporaryDirectory(prefix="amdgpu-fuzz-") as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        try:
            read(str(path))
        except UsageError as error:
            _tell(error)


def run_fleet(data: bytes) -> None:
    """A fleet file."""
    _on_file(data, read_fleet)


def run_manifest(data: bytes) -> None:
    """Kubernetes objects in a file."""
    _on_file(data, read_manifests)


def run_flags(data: bytes) -> None:
    """A line for each argument; `$name=value` is a variable of the environment, chosen by the length of `$name`."""
    arguments, environment = [], {}
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        if line.startswith("$"):
            number, _, value = line[1:].partition("=")
            environment[FLAGS[len(number) % len(FLAGS)].env] = value
        else:
            arguments.append(line)
    try:
        _ = parse_flags(arguments, environment, "0").dynamic_partitioning
    except UsageError as error:
        _ = str(error)
    except SystemExit as end:
        # --help and --version.
        if end.code:
            raise RuntimeError(f"ends with status {end.code}") from end


TARGETS = {
    target.name: target
    for target in (
        Target(name="record", reads="checkpoint records", run=run_record),
        Target(name="config", reads="opaque configurations", run=run_config),
        Target(name="api_claim", reads="claims of the API server", run=run_api_claim),
        Target(name="api_slices", reads="slices, watches, nodes and versions of the API server", run=run_api_slices),
        Target(name="objects", reads="objects for the allocator", run=run_objects),
        Target(name="tree", reads="sysfs", run=run_tree),
        Target(name="document", reads="CDI documents", run=run_document),
        Target(name="kubeconfig", reads="credentials", run=run_kubeconfig, examples=10),
        Target(name="fleet", reads="fleet files", run=run_fleet, examples=20),
        Target(name="manifest", reads="files of Kubernetes objects", run=run_manifest),
        Target(name="grpc", reads="what is sent to the kubelet's socket", run=run_grpc),
        Target(name="flags", reads="flags and environment", run=run_flags),
    )
}

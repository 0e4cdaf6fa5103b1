"""Pushes to a real registry on loopback, and what the program says where one refuses."""

import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from amdgpu_dra.apps.release import main
from amdgpu_dra.core.release import INDEX, MANIFEST, Blob, artifact, blob, descriptor, referrers_tag
from amdgpu_dra.edge.certificates import make_pair
from amdgpu_dra.edge.release import Credentials, Registry, Repository
from amdgpu_dra.testing.registry import PASSWORD, USER, registry

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
CONFIG = "application/vnd.oci.image.config.v1+json"
FILES = {
    "usr/share/doc/libfoo/copyright": "Format: x\n\nLicense: Expat\n",
    "usr/lib/python3/dist-packages/demo-1.0.dist-info/METADATA": "Name: demo\nLicense-Expression: MIT\n",
}
DEBIAN = {
    "suite": "trixie",
    "packages": [
        {"name": name, "version": "1", "architecture": a, "path": f"pool/{name}_{a}.deb", "sha256": "0" * 64}
        for name in ("libfoo", "libabsent")
        for a in ("amd64", "arm64")
    ],
}


def _layout(folder: Path, title: str) -> Path:
    """An OCI layout of an index of two images, which share the first layer with every other such layout."""
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)

    def keep(content: Blob) -> dict[str, Any]:
        described = descriptor(content)
        (blobs / described["digest"].removeprefix("sha256:")).write_bytes(content.data)
        return described

    manifests = []
    for architecture in ("amd64", "arm64"):
        layers = [keep(_layer(FILES)), keep(_layer({title: architecture}))]
        config = keep(blob(CONFIG, {"architecture": architecture, "os": "linux", "config": {}}))
        manifest = blob(MANIFEST, {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers})
        manifests.append(keep(manifest) | {"platform": {"architecture": architecture, "os": "linux"}})
    index = keep(blob(INDEX, {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}))
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [index]}))
    return folder


def _layer(files: dict[str, str]) -> Blob:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return Blob(LAYER, gzip.compress(buffer.getvalue(), mtime=0))


def _git(folder: Path, *arguments: str) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z",
        "GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z",
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    subprocess.run(["git", "-C", folder, *identity, *arguments], check=True, capture_output=True, env=environment)


@pytest.fixture(name="checkout")
def _checkout(tmp_path: Path) -> Path:
    """A tagged, clean checkout with the two locks."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "debian.json").write_text(json.dumps(DEBIAN))
    (folder / "wheels.txt").write_text(f"demo==1.0 \\\n    --hash=sha256:{'1' * 64}\n")
    _git(folder, "init", "-q")
    _git(folder, "add", ".")
    _git(folder, "commit", "-qm", "one")
    _git(folder, "tag", "v1.2.3")
    return folder


def _push(checkout: Path, repository: str, *more: str, **environment: str) -> int:
    """The program as Bazel's target calls it."""
    layouts = checkout.parent / "layouts"
    if not layouts.exists():
        _layout(layouts / "plugin", "plugin")
        _layout(layouts / "webhook", "webhook")
    arguments = [
        "images",
        f"--image=//images/plugin:index={layouts}/plugin=",
        f"--image=//images/webhook:index={layouts}/webhook=-webhook",
        f"--debian-lock={checkout}/debian.json",
        f"--wheel-lock={checkout}/wheels.txt",
        f"--material=debian.json={checkout}/debian.json",
        "--plain-http",
        *more,
        repository,
        "v1",
    ]
    return main(arguments, {"BUILD_WORKSPACE_DIRECTORY": str(checkout), "HOME": str(checkout.parent), **environment})


@pytest.fixture(name="host")
def _host(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "registry"
    folder.mkdir()
    with registry(folder) as host:
        yield host


@contextmanager
def _reader(host: str, user: str = "", password: str = "") -> Iterator[Registry]:
    found = Registry(Repository(host, "any"), Credentials(user=user, password=password), plain_http=True)
    try:
        yield found
    finally:
        found.close()


def _manifest(reader: Registry, repository: Repository, reference: str) -> Any:
    data = reader.get_manifest(repository, reference)
    assert data is not None
    return json.loads(data)


def test_everything_can_be_read_back(checkout: Path, host: str) -> None:
    """By tag and digest: index, both images with labels, every blob as it lies on disk, of both repositories."""
    assert _push(checkout, f"{host}/gpu/plugin") == 0

    for end in ("", "-webhook"):
        repository = Repository(host, f"gpu/plugin{end}")
        layout = checkout.parent / "layouts" / (end.removeprefix("-") or "plugin")
        with _reader(host) as reader:
            index = _manifest(reader, repository, "v1")
            assert [item["platform"]["architecture"] for item in index["manifests"]] == ["amd64", "arm64"]
            for item in index["manifests"]:
                manifest = _manifest(reader, repository, item["digest"])
                labels = json.loads(reader.get_blob(repository, manifest["config"]["digest"]))["config"]["Labels"]
                assert labels["org.opencontainers.image.version"] == "1.2.3"
                assert len(labels["org.opencontainers.image.revision"]) == 40
                assert labels["org.opencontainers.image.created"] == "2026-01-02T03:04:05Z"
                for layer in manifest["layers"]:
                    on_disk = (layout / "blobs" / layer["digest"].replace(":", "/")).read_bytes()
                    assert reader.get_blob(repository, layer["digest"]) == on_disk


def test_referrers_say_what_is_in_it_and_where_it_comes_from(checkout: Path, host: str) -> None:
    """Without the registry's API they are listed under the digest's tag: SBOM and provenance, both about the index."""
    assert _push(checkout, f"{host}/gpu/plugin") == 0

    repository = Repository(host, "gpu/plugin")
    with _reader(host) as reader:
        data = reader.get_manifest(repository, "v1")
        assert data is not None
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        tagged = _manifest(reader, repository, referrers_tag(digest))
        documents = {}
        for item in reader.referrers(repository, digest):
            manifest = _manifest(reader, repository, item["digest"])
            assert manifest["subject"]["digest"] == digest
            documents[item["artifactType"]] = json.loads(reader.get_blob(repository, manifest["layers"][0]["digest"]))

    assert len(tagged["manifests"]) == 2
    purls = {each["externalRefs"][0]["referenceLocator"] for each in documents["application/spdx+json"]["packages"]}
    assert {
        "pkg:deb/debian/libfoo@1?arch=amd64&distro=trixie",
        "pkg:deb/debian/libfoo@1?arch=arm64&distro=trixie",
        "pkg:pypi/demo@1.0",
    } == {each for each in purls if not each.startswith("pkg:oci/")}
    predicate = documents["application/vnd.in-toto+json"]["predicate"]["buildDefinition"]
    assert predicate["externalParameters"] == {"target": "//images/plugin:index", "version": "1.2.3", "clean": True}
    pinned = {each.get("name"): each["digest"] for each in predicate["resolvedDependencies"]}
    assert pinned["debian.json"] == {"sha256": hashlib.sha256((checkout / "debian.json").read_bytes()).hexdigest()}


def test_a_second_push_sends_nothing(checkout: Path, host: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is there is asked for and not sent again; layers that both images have are sent once."""
    assert _push(checkout, f"{host}/gpu/plugin") == 0
    first = capsys.readouterr().out
    assert _push(checkout, f"{host}/gpu/plugin") == 0
    second = capsys.readouterr().out

    assert "1 mounted" in first or "2 mounted" in first
    assert "sent 0 blobs and 0 manifests, 0.0 MB" in second
    assert first.splitlines()[:2] == second.splitlines()[:2]


def test_a_push_goes_on_where_one_was_cut_off(checkout: Path, host: str) -> None:
    """With some blobs there and no manifest, the next run sends the rest."""
    layout = _layout(checkout.parent / "layouts/plugin", "plugin")
    _layout(checkout.parent / "layouts/webhook", "webhook")
    (first,) = json.loads((layout / "index.json").read_text())["manifests"]
    index = json.loads((layout / "blobs" / first["digest"].replace(":", "/")).read_text())
    manifest = json.loads((layout / "blobs" / index["manifests"][0]["digest"].replace(":", "/")).read_text())
    with _reader(host) as sender:
        layer = manifest["layers"][0]
        path = layout / "blobs" / layer["digest"].replace(":", "/")
        sender.put_blob(Repository(host, "gpu/plugin"), layer, path)

    assert _push(checkout, f"{host}/gpu/plugin") == 0
    with _reader(host) as reader:
        assert reader.get_manifest(Repository(host, "gpu/plugin"), "v1") is not None


def test_changed_files_are_refused_unless_allowed(
    checkout: Path, host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A new or changed file stops the push before anything is sent; allowed, version and provenance say so."""
    (checkout / "new.txt").write_text("x")

    assert _push(checkout, f"{host}/gpu/plugin") == 2
    assert "1 changed or new: new.txt; commit them, or give --allow-dirty" in capsys.readouterr().err
    with _reader(host) as reader:
        assert reader.get_manifest(Repository(host, "gpu/plugin"), "v1") is None
    assert _push(checkout, f"{host}/gpu/plugin", "--allow-dirty") == 0
    assert "version 1.2.4-dev.0.g" in capsys.readouterr().out


def test_credentials_are_asked_for(checkout: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without or with wrong ones the message says what to do; those of the environment and of docker's file serve."""
    folder = tmp_path / "closed"
    folder.mkdir()
    with registry(folder, closed=True) as host:
        assert _push(checkout, f"{host}/gpu/plugin") == 2
        none = capsys.readouterr().err
        assert _push(checkout, f"{host}/gpu/plugin", REGISTRY_USERNAME=USER, REGISTRY_PASSWORD=USER) == 2
        wrong = capsys.readouterr().err
        assert _push(checkout, f"{host}/gpu/plugin", REGISTRY_USERNAME=USER, REGISTRY_PASSWORD=PASSWORD) == 0
        # "releaser:secret", as docker keeps it.
        config = {"auths": {host: {"auth": "cmVsZWFzZXI6c2VjcmV0"}}}
        (folder / "config.json").write_text(json.dumps(config))
        assert _push(checkout, f"{host}/gpu/plugin", DOCKER_CONFIG=str(folder)) == 0

    assert f"registry {host}" in none
    assert "status 401 with credentials: none; log in" in none
    assert "credentials: REGISTRY_USERNAME and REGISTRY_PASSWORD" in wrong
    assert PASSWORD not in none + wrong


class _Handler(BaseHTTPRequestHandler):
    """Answers every request with the server's status; `attached` ones keep referrers themselves."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, extra = self.server.answers(self.command, self.path)  # type: ignore[attr-defined]
        data = b"" if self.command == "HEAD" else b'{"errors": [{"code": "DENIED", "message": "quota"}]}'
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **extra}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_HEAD = do_POST = do_PUT = _answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def _server(answers: Any) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.answers = answers  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("status", "code", "action"),
    [
        (403, 2, "give this user the right to push"),
        (404, 2, "make the repository, or correct its name"),
        (413, 2, "raise the registry's limit"),
        (500, 1, "run it again: what was sent stays"),
    ],
)
def test_a_refusal_is_told(
    status: int, code: int, action: str, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The registry, what it said and what to do are in one line; 5xx ends with the status for trying again."""

    def answers(method: str, path: str) -> tuple[int, dict[str, str]]:
        return (200 if path == "/v2/" else 404 if method == "HEAD" else status), {}

    with _server(answers) as host:
        assert _push(checkout, f"{host}/gpu/plugin") == code

    (line,) = capsys.readouterr().err.splitlines()
    assert f"registry {host}" in line
    assert f"status {status}: 'DENIED quota'" in line
    assert action in line


def test_plain_http_is_never_tried_unasked(checkout: Path, host: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A registry without TLS is refused with the flag to give; nothing is sent to it."""
    arguments = ["chart", f"--package={_package(checkout)}", f"{host}/charts"]

    assert main(arguments, {"BUILD_WORKSPACE_DIRECTORY": str(checkout), "HOME": "/nonexistent"}) == 2
    assert "for a test registry that has none give --plain-http" in capsys.readouterr().err


def test_certificates_are_checked(checkout: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One that the machine does not trust is refused; with its authority it serves; plain HTTP to it is told."""
    folder = tmp_path / "tls"
    folder.mkdir()
    pair = make_pair(("localhost",), datetime.now(UTC))
    for name, data in (("tls.crt", pair.certificate), ("tls.key", pair.key), ("ca.crt", pair.authority)):
        (folder / name).write_bytes(data)
    environment = {"BUILD_WORKSPACE_DIRECTORY": str(checkout), "HOME": "/nonexistent"}
    package = f"--package={_package(checkout)}"
    with registry(folder, tls=True) as host:
        assert main(["chart", package, f"{host}/charts"], environment) == 2
        unknown = capsys.readouterr().err
        assert main(["chart", package, "--plain-http", f"{host}/charts"], environment) == 2
        plain = capsys.readouterr().err
        assert main(["chart", package, f"--ca-file={folder}/ca.crt", f"{host}/charts"], environment) == 0

    assert "expected a certificate that this machine trusts" in unknown
    assert "--ca-file" in unknown
    assert "expected plain HTTP, found TLS; leave --plain-http out" in plain


def test_a_registry_that_keeps_lists_is_left_to_it(checkout: Path) -> None:
    """Where the registry answers that it took the subject up, no tag is written."""
    asked: list[tuple[str, str]] = []

    def answers(method: str, path: str) -> tuple[int, dict[str, str]]:
        asked.append((method, path))
        return (404, {}) if method == "HEAD" else (201, {"OCI-Subject": "sha256:0"})

    manifest = artifact(blob("application/x", 1), subject=descriptor(blob(INDEX, {})), annotations={})
    with _server(answers) as host, _reader(host) as sender:
        sender.attach(Repository(host, "x"), manifest, descriptor(blob(INDEX, {}))["digest"])

    assert [method for method, _ in asked] == ["HEAD", "PUT"]
    assert checkout.exists()


@pytest.mark.parametrize(
    "text", ["plugin", "gpu/plugin", "registry.example/Upper", "registry.example/x:tag", "r.example/"]
)
def test_a_wrong_name_is_refused(text: str, checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no registry and repository is refused, with an example."""
    assert _push(checkout, text) == 2
    assert "such as registry.example/gpu/plugin" in capsys.readouterr().err


def _package(checkout: Path) -> Path:
    """A chart, packed by the program."""
    chart = checkout.parent / "chart/demo"
    chart.mkdir(parents=True, exist_ok=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: demo\nversion: 0.1.0\nappVersion: 0.1.0\n")
    (chart / "values.yaml").write_text('image:\n  repository: ""\n')
    status, out = checkout.parent / "status", checkout.parent / "demo.tgz"
    status.write_text("STABLE_GIT_DESCRIBE v1.2.3-0-gabc1234\n")
    files = [str(chart / "values.yaml"), str(chart / "Chart.yaml")]
    more = ["--repository=registry.example/gpu/plugin"]
    assert main(["package", f"--status={status}", f"--out={out}", *more, *files], {}) == 0
    return out


def test_a_chart_is_packed_with_version_and_repository(checkout: Path) -> None:
    """Chart.yaml comes first, with the version of the tag, and values.yaml names the image's repository."""
    with tarfile.open(_package(checkout)) as tar:
        texts = {member.name: tar.extractfile(member).read().decode() for member in tar}  # type: ignore[union-attr]

    assert list(texts) == ["demo/Chart.yaml", "demo/values.yaml"]
    assert 'version: "1.2.3"\nappVersion: "1.2.3"' in texts["demo/Chart.yaml"]
    assert texts["demo/values.yaml"] == 'image:\n  repository: "registry.example/gpu/plugin"\n'


def test_a_chart_outside_of_a_checkout_keeps_its_version(checkout: Path) -> None:
    """Where git says nothing, Chart.yaml stays as it is."""
    _package(checkout)
    chart, out = checkout.parent / "chart/demo/Chart.yaml", checkout.parent / "plain.tgz"

    assert main(["package", "--status=/dev/null", f"--out={out}", str(chart)], {}) == 0
    with tarfile.open(out) as tar:
        file = tar.extractfile("demo/Chart.yaml")
        assert file is not None
        assert file.read() == chart.read_bytes()

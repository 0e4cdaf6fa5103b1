"""Names, credentials, tokens, checkouts and layouts; pushes are tested in apps/release, on a real registry."""

import base64
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.api.errors import NotReadyError, UsageError
from amdgpu_dra.edge.release import (
    Credentials,
    Registry,
    Repository,
    find_credentials,
    look_at,
    parse_repository,
    parse_tag,
    read_layout,
    read_package,
)

GOOD, BAD = "secret", "guess"
HOSTS = st.sampled_from(["localhost", "localhost:5000", "r.example", "r.example:443", "127.0.0.1:5000", "[::1]:5000"])
NAMES = st.from_regex(r"[a-z0-9]+([._-][a-z0-9]+)?(/[a-z0-9]+)*", fullmatch=True)


@given(HOSTS, NAMES)
def test_repositories_are_read_as_written(host: str, name: str) -> None:
    """Host and name come apart at the first slash, and print as they were."""
    found = parse_repository(f"{host}/{name}")

    assert (found.host, found.name) == (host, name)
    assert str(found) == f"{host}/{name}"
    assert parse_repository(f"oci://{found}") == found


@given(st.text(max_size=20))
def test_any_other_text_is_refused(text: str) -> None:
    """No text makes it fail otherwise, and what it takes is one that it prints."""
    try:
        assert str(parse_repository(text)) == text.removeprefix("oci://")
    except UsageError as error:
        assert "REGISTRY/REPOSITORY" in str(error)  # noqa: PT017


def test_tags_are_checked() -> None:
    """A version is a tag; one with a plus or a slash is none."""
    assert parse_tag("v1.2.3-dev.1") == "v1.2.3-dev.1"
    with pytest.raises(UsageError, match="choose another tag"):
        parse_tag("1.2.3+build")


def _docker(folder: Path, config: object) -> dict[str, str]:
    (folder / "config.json").write_text(json.dumps(config))
    return {"DOCKER_CONFIG": str(folder)}


def test_credentials_of_dockers_file(tmp_path: Path) -> None:
    """User and password, or an identity token, of that registry and of no other; docker.io has a name of its own."""
    auth = {"auth": base64.b64encode(b"me:se:cret").decode()}
    config = {"auths": {"r.example": auth, "https://index.docker.io/v1/": {"identitytoken": GOOD}}}
    environment = _docker(tmp_path, config)

    found = find_credentials("r.example", environment)
    assert (found.user, found.password) == ("me", "se:cret")
    assert find_credentials("docker.io", environment).identity_token == GOOD
    assert not find_credentials("other.example", environment).given
    assert not find_credentials("r.example", {"HOME": str(tmp_path / "absent")}).given


def test_a_credential_helper_is_asked(tmp_path: Path) -> None:
    """The helper of that registry gets its name, and its answer is used; if it is missing the message names it."""
    program = tmp_path / "docker-credential-demo"
    program.write_text('#!/bin/sh\nread host\necho "{\\"Username\\": \\"$host\\", \\"Secret\\": \\"s\\"}"\n')
    program.chmod(0o755)
    environment = _docker(tmp_path, {"credHelpers": {"r.example": "demo", "x.example": "absent-one"}})
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}

    found = find_credentials("r.example", environment | path)

    assert (found.user, found.password) == ("r.example", "s")
    with pytest.raises(UsageError, match="docker-credential-absent-one"):
        find_credentials("x.example", environment | path)


def test_credentials_never_show() -> None:
    """Neither password nor token is in what Python prints of them."""
    assert repr(Credentials(user="u", password=GOOD, identity_token=BAD, source="x")) == "Credentials(source='x')"


class _Handler(BaseHTTPRequestHandler):
    """A registry that wants a token, and the server that gives it to `me` with `secret`."""

    protocol_version = "HTTP/1.1"

    def _answer(self, status: int, body: object, **headers: str) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        """Either part."""
        given, url = self.headers.get("Authorization", ""), urlsplit(self.path)
        if url.path == "/token":
            (scope,) = parse_qs(url.query)["scope"]
            right = given == "Basic " + base64.b64encode(f"me:{GOOD}".encode()).decode()
            self._answer(200 if right else 401, {"token": scope} if right else {})
        elif given == "Bearer repository:x:pull,push":
            self._answer(200, {"manifests": []})
        else:
            realm = f"http://{self.headers['Host']}/token"
            self._answer(401, {}, WWW_Authenticate=f'Bearer realm="{realm}",service="s",scope="repository:x:pull"')

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def _registry(**credentials: str) -> Iterator[tuple[Registry, Repository]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    host = f"127.0.0.1:{server.server_address[1]}"
    repository = Repository(host, "x")
    registry = Registry(repository, Credentials(**credentials, source="here"), plain_http=True, attempts=0)
    try:
        yield registry, repository
    finally:
        registry.close()
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_token_is_fetched_for_the_repository() -> None:
    """The registry's challenge is followed, with the right to push, by user and password."""
    with _registry(user="me", password=GOOD) as (registry, repository):
        assert registry.get_manifest(repository, "v1") is not None


def test_a_refused_token_is_told() -> None:
    """The message has the repository, the status and where the credentials come from, and not what they are."""
    with _registry(user="me", password=BAD) as (registry, repository), pytest.raises(UsageError) as caught:
        registry.get_manifest(repository, "v1")

    assert "token for x" in str(caught.value)
    assert "credentials: here" in str(caught.value)
    assert BAD not in str(caught.value)


def test_a_registry_that_is_not_there_is_told() -> None:
    """Nobody listens: try again, or correct the name."""
    repository = Repository("127.0.0.1:1", "x")
    registry = Registry(repository, Credentials(), plain_http=True, attempts=0)

    with pytest.raises(NotReadyError, match=r"registry 127\.0\.0\.1:1: expected an answer"):
        registry.get_manifest(repository, "v1")
    registry.close()


def test_a_checkout_is_described(tmp_path: Path) -> None:
    """Commit, time in UTC and tag; a new file makes it dirty; what is no checkout is refused."""
    with pytest.raises(UsageError, match="release from a clone"):
        look_at(tmp_path)
    identity = {"name": "a", "email": "a@example.com"}
    git = ["git", "-C", str(tmp_path), *(part for k, v in identity.items() for part in ("-c", f"user.{k}={v}"))]
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "one"], ["tag", "v0.1.0"]):
        subprocess.run([*git, *command], check=True, capture_output=True)

    clean = look_at(tmp_path)
    (tmp_path / "new").touch()
    dirty = look_at(tmp_path)

    assert clean.described == f"v0.1.0-0-g{clean.revision[: len(clean.described) - len('v0.1.0-0-g')]}"
    assert (clean.changed, dirty.changed) == ((), ("new",))
    assert clean.time.endswith("Z")
    assert dirty.described == f"{clean.described}-dirty"


def test_a_folder_without_a_layout_is_refused(tmp_path: Path) -> None:
    """Neither a layout nor a chart: each message says what to build."""
    with pytest.raises(UsageError, match="build the image"):
        read_layout(tmp_path)
    with pytest.raises(UsageError, match="build //charts:package"):
        read_package(tmp_path / "absent.tgz")


def test_a_blob_that_is_not_its_digest_is_refused(tmp_path: Path) -> None:
    """A layout whose manifest was changed is not pushed."""
    digest = "0" * 64
    (tmp_path / "blobs/sha256").mkdir(parents=True)
    (tmp_path / "blobs/sha256" / digest).write_text("{}")
    manifests = [{"mediaType": "application/vnd.oci.image.index.v1+json", "digest": f"sha256:{digest}"}]
    (tmp_path / "index.json").write_text(json.dumps({"manifests": manifests}))

    with pytest.raises(UsageError, match=f"expected a blob of sha256:{digest}"):
        read_layout(tmp_path)

"""A registry's API (distribution-spec 1.1), as far as a push needs it.

What is there already is not sent again, so that a push that was cut off goes on when it is run again.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import urllib3

from amdgpu_dra.api.errors import UsageError
from amdgpu_dra.core.release import INDEX, MANIFEST, Blob, descriptor, referrers_tag, with_referrer
from amdgpu_dra.edge.release.authorize import Authorizer
from amdgpu_dra.edge.release.credentials import Credentials
from amdgpu_dra.edge.release.failures import refused, unreachable
from amdgpu_dra.edge.release.reference import Repository

_ACCEPT = f"{MANIFEST}, {INDEX}"
_OR_NONE = (HTTPStatus.OK, HTTPStatus.NOT_FOUND)
_MADE = (HTTPStatus.CREATED,)


@dataclass(frozen=True, slots=True)
class _Request:
    """A request, below a repository or at a whole address; `where` names it in messages, `ok` are wanted answers."""

    method: str
    path: str
    where: str
    ok: Sequence[int] = (HTTPStatus.OK,)
    body: Path | bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Sent:
    """What a push had to do.

    Attributes:
        blobs, manifests: sent.
        present: blobs and manifests that were there.
        mounted: blobs that the registry took from another repository of its own.
        size: bytes sent.
    """

    blobs: int = 0
    manifests: int = 0
    present: int = 0
    mounted: int = 0
    size: int = 0


class Registry:
    """One registry. Every method raises UsageError where it refuses, and NotReadyError where it does not answer."""

    def __init__(
        self,
        repository: Repository,
        credentials: Credentials,
        *,
        plain_http: bool,
        ca_file: str = "",
        attempts: int = 4,
    ) -> None:
        """The registry of a repository; nothing is asked yet.

        Args:
            repository: any of the registry.
            credentials: for it.
            plain_http: without TLS.
            ca_file: authorities to trust in place of the machine's.
            attempts: how often a request is tried again that nobody answered, or with 429, 502, 503 or 504.
        """
        self._base = f"{'http' if plain_http else 'https'}://{repository.api}/v2/"
        self._host = repository.host
        retries = urllib3.Retry(
            total=attempts,
            other=0,  # TLS that fails once fails again
            backoff_factor=0.5, status_forcelist=(429, 502, 503, 504), raise_on_status=False,
            allowed_methods=None,
        )  # fmt: skip
        self._pool = urllib3.PoolManager(
            retries=retries, timeout=urllib3.Timeout(connect=20, read=300), ca_certs=ca_file or None
        )
        self._authorizer = Authorizer(repository.host, credentials, self._pool)
        self.sent = Sent()

    def close(self) -> None:
        """Ends its connections."""
        self._pool.clear()

    def check(self, repository: Repository) -> None:
        """Whether a registry answers; who may do what is asked later."""
        where = f"API at {self._base}"
        self._call(_Request("GET", self._base, where, ok=(HTTPStatus.OK, HTTPStatus.UNAUTHORIZED)), repository)

    def put_blob(
        self, repository: Repository, described: Mapping[str, Any], source: Path | bytes, near: str = ""
    ) -> None:
        """Sends a blob that the repository has not got.

        Args:
            repository: to send it to.
            described: its descriptor.
            source: its file or its bytes.
            near: another repository of this registry, which may have it.
        """
        digest = described["digest"]
        where = f"blob {digest} in {repository}"
        head = self._call(_Request("HEAD", f"blobs/{digest}", where, ok=_OR_NONE), repository)
        if head.status == HTTPStatus.OK:
            self.sent.present += 1
            return
        query = f"?mount={digest}&from={near}" if near else ""
        begun = self._call(
            _Request("POST", f"blobs/uploads/{query}", where, ok=(HTTPStatus.CREATED, HTTPStatus.ACCEPTED)), repository
        )
        if begun.status == HTTPStatus.CREATED:
            self.sent.mounted += 1
            return
        place = urljoin(f"{self._base}{repository.name}/blobs/uploads/", begun.headers["Location"])
        place += f"{'&' if urlsplit(place).query else '?'}digest={digest}"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(described["size"])}
        self._call(_Request("PUT", place, where, ok=_MADE, body=source, headers=headers), repository)
        self.sent.blobs += 1
        self.sent.size += described["size"]

    def put_manifest(self, repository: Repository, manifest: Blob, tag: str = "") -> bool:
        """Sends a manifest under its digest, or under a tag, unless it is there.

        Returns:
            Whether the registry says that it keeps a list of referrers by itself.
        """
        digest = descriptor(manifest)["digest"]
        where, path = f"manifest {tag or digest} in {repository}", f"manifests/{tag or digest}"
        head = self._call(_Request("HEAD", path, where, ok=_OR_NONE, headers={"Accept": _ACCEPT}), repository)
        if head.status == HTTPStatus.OK and head.headers.get("Docker-Content-Digest") == digest:
            self.sent.present += 1
            return False
        headers = {"Content-Type": manifest.media_type}
        answer = self._call(_Request("PUT", path, where, ok=_MADE, body=manifest.data, headers=headers), repository)
        self.sent.manifests += 1
        self.sent.size += len(manifest.data)
        return "OCI-Subject" in answer.headers

    def attach(self, repository: Repository, manifest: Blob, subject: str) -> None:
        """Sends the manifest of an artifact about a digest, and lists it where the registry does not do that itself."""
        if self.put_manifest(repository, manifest) or self._list(repository, subject).status == HTTPStatus.OK:
            return
        # Two pushes at once could lose a line here; the next push of either puts it back.
        tag = referrers_tag(subject)
        listed = self.get_manifest(repository, tag)
        if (changed := with_referrer(json.loads(listed) if listed else None, manifest)) is not None:
            self.put_manifest(repository, changed, tag)

    def referrers(self, repository: Repository, subject: str) -> list[Mapping[str, Any]]:
        """Descriptors of what says something about a digest, from the registry's list or the tag."""
        answer = self._list(repository, subject)
        listed = answer.status == HTTPStatus.OK
        data = answer.data if listed else self.get_manifest(repository, referrers_tag(subject))
        found: list[Mapping[str, Any]] = json.loads(data)["manifests"] if data else []
        return found

    def get_manifest(self, repository: Repository, reference: str) -> bytes | None:
        """A manifest by tag or digest; None if there is none."""
        where = f"manifest {reference} in {repository}"
        request = _Request("GET", f"manifests/{reference}", where, ok=_OR_NONE, headers={"Accept": _ACCEPT})
        answer = self._call(request, repository)
        return answer.data if answer.status == HTTPStatus.OK else None

    def get_blob(self, repository: Repository, digest: str) -> bytes:
        """A blob, checked against its digest."""
        where = f"blob {digest} in {repository}"
        data = self._call(_Request("GET", f"blobs/{digest}", where), repository).data
        found = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if found != digest:
            raise UsageError(
                f"registry {self._host}: {where}",
                expected="its bytes",
                found=found,
                action="push it to another registry",
            )
        return data

    def _list(self, repository: Repository, subject: str) -> urllib3.BaseHTTPResponse:
        """The registry's own list of referrers; those that keep none answer in many ways."""
        request = _Request("GET", f"referrers/{subject}", f"referrers in {repository}", ok=(200, *range(402, 500)))
        return self._call(request, repository)

    def _call(self, request: _Request, repository: Repository) -> urllib3.BaseHTTPResponse:
        """One request, with credentials once the registry asks for them."""
        answer = self._send(request, repository)
        if answer.status == HTTPStatus.UNAUTHORIZED and self._authorizer.answer(answer.headers, repository.name):
            answer = self._send(request, repository)
        if answer.status not in request.ok:
            raise refused(self._host, request.where, answer, self._authorizer.source)
        return answer

    def _send(self, request: _Request, repository: Repository) -> urllib3.BaseHTTPResponse:
        absolute = request.path.startswith(("http:", "https:"))
        url = request.path if absolute else f"{self._base}{repository.name}/{request.path}"
        # A registry may take blobs elsewhere: that place is told no credentials.
        own = urlsplit(url).netloc == urlsplit(self._base).netloc
        headers = {**request.headers, **(self._authorizer.headers(repository.name) if own else {})}
        try:
            if isinstance(request.body, Path):
                with request.body.open("rb") as file:
                    return self._pool.request(request.method, url, body=file, headers=headers)
            return self._pool.request(request.method, url, body=request.body, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            raise unreachable(self._host, self._base, error) from error

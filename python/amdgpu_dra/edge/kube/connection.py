"""One connection to the API server: requests, watches, errors."""

import asyncio
import json
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any
from urllib.parse import urlencode

from amdgpu_dra.api.errors import NotReadyError, UsageError
from amdgpu_dra.edge.kube.access import Access, pod_access
from amdgpu_dra.edge.kube.credentials import Credentials
from amdgpu_dra.edge.kube.kubeconfig import read_kubeconfig
from amdgpu_dra.edge.kube.proxy import split_proxy

_TIMEOUT = 20.0
_CONNECTIONS = 64
# As Go's clients: a claim seldom comes within the library's 15 s of the one before, and TLS begins anew at a price.
_IDLE_SECONDS = 90.0
_REDIRECTS, _UNAUTHORIZED, _NOT_FOUND = 300, 401, 404
# A peer that is gone without a word is noticed after a minute, even where nothing is sent, as on a watch.
_KEEPALIVE = {
    socket.TCP_KEEPIDLE: 30,
    socket.TCP_KEEPINTVL: 10,
    socket.TCP_KEEPCNT: 3,
    socket.TCP_USER_TIMEOUT: 60_000,
}


class StatusError(Exception):
    """The API server answered with an error; `code` is HTTP's and `message` the server's own.

    `retry_after` is for how many seconds it asked not to be asked again, if it did. `object_missing` says of a 404 that
    the server knows the path, and has no object of that name: of an API that it does not serve it says another thing.
    """

    def __init__(
        self, code: int, message: str, retry_after: float | None = None, *, object_missing: bool = False
    ) -> None:
        super().__init__(code, message)
        self.code, self.message, self.retry_after = code, message, retry_after
        self.object_missing = object_missing


class Connection:
    """Lazily opened; raw JSON in and out. No throttle: the server has its own (API priority and fairness).

    Redirects are not followed, since credentials would go with them; an answer of 429 is the caller's to wait for.
    """

    def __init__(self, kubeconfig: str) -> None:
        """`kubeconfig`: one path or several joined with colons, or empty for the credentials of the pod."""
        self._kubeconfig = kubeconfig
        self._opening = asyncio.Lock()
        self._link: _Link | None = None
        # Told each request's verb, status (0: no answer) and seconds until its answer began.
        self.on_request: Callable[[str, int, float], None] = lambda _verb, _code, _seconds: None

    async def open(self) -> None:
        """Imports the HTTP library and reads the credentials.

        Raises:
            UsageError: there are no credentials, or they cannot be used.
            NotReadyError: the program that gives them failed.
        """
        await self._open()

    async def _open(self) -> "_Link":
        if self._link is not None:
            return self._link
        async with self._opening:
            if self._link is None:
                access = await asyncio.to_thread(self._read_access)
                credentials = Credentials(access)
                try:
                    await credentials.get()
                except (OSError, ValueError) as error:
                    raise UsageError(
                        access.where,
                        expected="credentials for the API server",
                        found=str(error),
                        action="mend what it names, or name another kubeconfig by --kubeconfig",
                    ) from error
                self._link = _Link(await asyncio.to_thread(_import_http), access, credentials)
            return self._link

    def _read_access(self) -> Access:
        return read_kubeconfig(self._kubeconfig, os.environ) if self._kubeconfig else pod_access(os.environ)

    async def request(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: object = None
    ) -> dict[str, Any]:
        """The JSON that the server answers.

        Raises:
            StatusError: it answered with an error.
            NotReadyError: it could not be asked, or answered with something else.
        """
        async with self._ask(method, path, query=query, body=body, seconds=_TIMEOUT) as response:
            return _decode(await response.read(), path)

    async def stream(self, path: str, query: Mapping[str, str], seconds: int) -> AsyncIterator[dict[str, Any]]:
        """Each event of a watch, until the server ends it after so long; the client waits a little longer.

        Raises as `request` does.
        """
        asked = {**query, "watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(seconds)}
        async with self._ask("GET", path, query=asked, body=None, seconds=seconds + _TIMEOUT) as response:
            # Not by the library's lines: their length has a limit, and a slice has none that we know.
            rest: list[bytes] = []
            async for chunk in response.content.iter_any():
                first, *others = chunk.split(b"\n")
                rest.append(first)
                for other in others:
                    line = b"".join(rest)
                    rest = [other]
                    if line:
                        yield _decode(line, path)

    @asynccontextmanager
    async def _ask(
        self, method: str, path: str, *, query: Mapping[str, str] | None, body: object, seconds: float
    ) -> AsyncIterator[Any]:
        """Sends a request and has the answer, which is no error, inside."""
        link = await self._open()
        try:
            asking = await link.ask(method, path + (f"?{urlencode(query)}" if query else ""), body, seconds)
            start, code = time.perf_counter(), 0
            try:
                response = await asking
                code = response.status
            finally:
                self.on_request(method, code, time.perf_counter() - start)
            async with response:
                if code == _UNAUTHORIZED:
                    link.credentials.doubt()
                if code >= _REDIRECTS:
                    raise _status_error(code, await response.read(), response.headers)
                yield response
        except link.failures as error:
            raise NotReadyError(
                f"API server {link.access.server}",
                expected="an answer",
                found=f"{type(error).__name__} {error}".strip(),
                action="it is asked again; if this lasts, look at the network between this node and the API server",
            ) from error

    async def close(self) -> None:
        """Closes what is open."""
        if self._link is not None:
            await self._link.session.close()


class _Link:
    """The HTTP session of an open connection."""

    def __init__(self, http: ModuleType, access: Access, credentials: Credentials) -> None:
        self._http, self.access, self.credentials = http, access, credentials
        self.failures = (TimeoutError, OSError, http.ClientError)
        self._options: dict[str, Any] = {"allow_redirects": False, "server_hostname": access.tls_server_name or None}
        if access.proxy:
            self._options["proxy"], self._options["proxy_headers"] = split_proxy(access.proxy)
        self.session = http.ClientSession(
            connector=http.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=_IDLE_SECONDS, socket_factory=_socket),
            cookie_jar=http.DummyCookieJar(),
            headers={"User-Agent": "amdgpu-dra", "Accept": "application/json"},
        )

    async def ask(self, method: str, path: str, body: object, seconds: float) -> Awaitable[Any]:
        """A request that is sent when it is awaited."""
        shown = await self.credentials.get()
        answer: Awaitable[Any] = self.session.request(
            method,
            self.access.server + path,
            headers={"Authorization": shown.authorization} if shown.authorization else None,
            json=body,
            ssl=shown.context or True,
            timeout=self._http.ClientTimeout(total=seconds, sock_connect=_TIMEOUT),
            **self._options,
        )
        return answer


def _import_http() -> ModuleType:
    """In a thread: the sockets answer meanwhile."""
    import aiohttp  # noqa: PLC0415

    return aiohttp


def _socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket on which a peer that is gone is noticed."""
    family, kind, protocol, _, _ = address
    found = socket.socket(family, kind, protocol)
    found.setblocking(False)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE.items():
        found.setsockopt(socket.IPPROTO_TCP, option, value)
    return found


def _decode(data: bytes, path: str) -> dict[str, Any]:
    """An object of the API; NotReadyError if it is none, as where a proxy answers in the server's place."""
    try:
        found, why = json.loads(data), ""
        if b"\\ud" in data.lower():
            # Half of a surrogate pair passes for a text, and could be told to nobody.
            json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        found, why = None, f" ({type(error).__name__})"
    if not isinstance(found, dict):
        raise NotReadyError(
            f"API server, {path}",
            expected="a JSON object",
            found=f"{data[:80]!r}{why}",
            action="it is asked again; if this lasts, look at what stands between this node and the API server",
        )
    return found


def _status_error(code: int, data: bytes, headers: Mapping[str, str]) -> StatusError:
    """A Status object's message, or the beginning of whatever came."""
    data = data or headers.get("Location", "").encode()
    try:
        status = json.loads(data)
        message = str(status.get("message") or data[:200].decode("utf-8", "replace"))
        details = status.get("details")
    except (ValueError, AttributeError, RecursionError):
        message, details = data[:200].decode("utf-8", "replace"), None
    told = headers.get("Retry-After", "")
    # The API server states seconds; a date, which HTTP allows too, is left to our own pauses.
    message = message.encode("utf-8", "backslashreplace").decode()
    seconds = float(told) if told.isascii() and told.isdigit() else None
    missing = code == _NOT_FOUND and isinstance(details, dict) and bool(details.get("name"))
    return StatusError(code, message, seconds, object_missing=missing)

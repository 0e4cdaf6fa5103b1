"""One connection to the API server: credentials, requests, errors."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from amdgpu_dra.api.errors import NotReadyError, UsageError

_TIMEOUT = 20.0
# A watch is ended by the server after this long and opened anew; the client waits a little longer.
WATCH_SECONDS = 300


class StatusError(Exception):
    """The API server answered with an error; `code` is HTTP's and `message` the server's own."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code, self.message = code, message


class Connection:
    """Lazily opened; raw JSON in and out. No throttle: the server has its own (API priority and fairness)."""

    def __init__(self, kubeconfig: str) -> None:
        """`kubeconfig`: a path, or empty for the credentials of the pod."""
        self._kubeconfig = kubeconfig
        self._opening = asyncio.Lock()
        self._rest: Any = None
        self._configuration: Any = None
        # Told each request's verb, status (0: no answer) and seconds until its answer began.
        self.on_request: Callable[[str, int, float], None] = lambda _verb, _code, _seconds: None

    async def open(self) -> None:
        """Imports the client and reads the credentials.

        Raises:
            UsageError: there are no credentials, or they cannot be read.
        """
        async with self._opening:
            if self._rest is not None:
                return
            rest, configuration, config = await asyncio.to_thread(_import_client)
            try:
                if self._kubeconfig:
                    await config.load_kube_config(config_file=self._kubeconfig, client_configuration=configuration)
                else:
                    config.load_incluster_config(client_configuration=configuration)
                self._rest = rest(configuration)
            # The client gives what is wrong with a file no name of its own: a parser's errors, or what comes of
            # a list where it looks for a mapping.
            except Exception as error:
                raise UsageError(
                    f"kubeconfig {self._kubeconfig}" if self._kubeconfig else "credentials of the pod",
                    expected="credentials for the API server",
                    found=str(error) or type(error).__name__,
                    action="name a kubeconfig by --kubeconfig, or run in a pod with a service account",
                ) from error
            self._configuration = configuration

    async def request(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: object = None
    ) -> dict[str, Any]:
        """The JSON that the server answers.

        Raises:
            StatusError: it answered with an error.
            NotReadyError: it could not be asked.
        """
        response = await self._send(method, path, query, body, _TIMEOUT)
        data = await self._read(response.read())
        if response.status >= 300:  # noqa: PLR2004
            raise _status_error(response.status, data)
        return _decode(path, data)

    async def stream(self, path: str, query: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
        """Each event of a watch, until the server ends it. Raises as `request` does."""
        asked = {**query, "watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(WATCH_SECONDS)}
        response = await self._send("GET", path, asked, None, WATCH_SECONDS + _TIMEOUT)
        if response.status >= 300:  # noqa: PLR2004
            raise _status_error(response.status, await self._read(response.read()))
        try:
            while line := await self._read(response.response.content.readline()):
                yield _decode(path, line)
        finally:
            response.response.close()

    async def _send(self, method: str, path: str, query: Mapping[str, str] | None, body: object, timeout: float) -> Any:  # noqa: ASYNC109 - the client's own
        await self.open()
        url = self._configuration.host + path + (f"?{urlencode(query)}" if query else "")
        headers = {"User-Agent": "amdgpu-dra", "Accept": "application/json"}
        token = await self._configuration.get_api_key_with_prefix("BearerToken")
        if token:
            headers["Authorization"] = token
        start, code = time.perf_counter(), 0
        try:
            work = self._rest.request(method, url, headers=headers, body=body, _request_timeout=timeout)
            response = await self._read(work)
            code = response.status
        finally:
            self.on_request(method, code, time.perf_counter() - start)
        return response

    async def _read(self, work: Any) -> Any:
        import aiohttp  # noqa: PLC0415 - imported by the client before

        try:
            return await work
        except (TimeoutError, OSError, aiohttp.ClientError) as error:
            raise NotReadyError(
                f"API server {self._configuration.host}",
                expected="an answer",
                found=f"{type(error).__name__} {error}".strip(),
                action="it is asked again; if this lasts, look at the network between this node and the API server",
            ) from error

    async def close(self) -> None:
        """Closes what is open."""
        if self._rest is not None:
            await self._rest.close()


def _import_client() -> tuple[Any, Any, Any]:
    """The parts of the official client that are used: HTTP, configuration, credentials."""
    from kubernetes.aio import config  # noqa: PLC0415
    from kubernetes.aio.client.configuration import Configuration  # noqa: PLC0415
    from kubernetes.aio.client.rest import RESTClientObject  # noqa: PLC0415

    configuration = Configuration()
    configuration.connection_pool_maxsize = 64
    configuration.proxy = os.environ.get("HTTPS_PROXY") or None
    return RESTClientObject, configuration, config


def _decode(path: str, data: bytes) -> dict[str, Any]:
    """An object of the API; NotReadyError if it is none, as where a proxy answers in the server's place."""
    try:
        found = json.loads(data)
        if b"\\ud" in data.lower():
            # Half of a surrogate pair passes for a text, and could be told to nobody.
            json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise _no_object(path, data, f" ({type(error).__name__})") from error
    if not isinstance(found, dict):
        raise _no_object(path, data, "")
    return found


def _no_object(path: str, data: bytes, why: str) -> NotReadyError:
    return NotReadyError(
        f"API server, {path}",
        expected="an object in JSON",
        found=f"{data[:80]!r}{why}",
        action="it is asked again; if this lasts, look at what stands between this node and the API server",
    )


def _status_error(code: int, data: bytes) -> StatusError:
    """A Status object's message, or the beginning of whatever came."""
    try:
        message = str(json.loads(data).get("message") or data[:200].decode("utf-8", "replace"))
    except (ValueError, AttributeError, RecursionError):
        message = data[:200].decode("utf-8", "replace")
    return StatusError(code, message.encode("utf-8", "backslashreplace").decode())

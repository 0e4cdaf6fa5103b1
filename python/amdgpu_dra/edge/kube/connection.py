"""One connection to the API server: credentials, requests, errors."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from amdgpu_dra.api.errors import NotReadyError, UsageError
from amdgpu_dra.edge.kube.pod_token import PodToken

_TIMEOUT = 20.0


class StatusError(Exception):
    """The API server answered with an error; `code` is HTTP's and `message` the server's own.

    `retry_after` is for how many seconds it asked not to be asked again, if it did.
    """

    def __init__(self, code: int, message: str, retry_after: float | None = None) -> None:
        super().__init__(code, message)
        self.code, self.message, self.retry_after = code, message, retry_after


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
                    config.load_incluster_config(client_configuration=configuration, try_refresh_token=False)
                    configuration.refresh_api_key_hook = PodToken(config.incluster_config.SERVICE_TOKEN_FILENAME)
                self._rest = rest(configuration)
            except (config.ConfigException, OSError, ValueError, TypeError) as error:
                raise UsageError(
                    f"kubeconfig {self._kubeconfig}" if self._kubeconfig else "credentials of the pod",
                    expected="credentials for the API server",
                    found=str(error),
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
            raise _status_error(response.status, data, response.response.headers)
        found: dict[str, Any] = json.loads(data)
        return found

    async def stream(self, path: str, query: Mapping[str, str], seconds: int) -> AsyncIterator[dict[str, Any]]:
        """Each event of a watch, until the server ends it after so long; the client waits a little longer.

        Raises as `request` does.
        """
        asked = {**query, "watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(seconds)}
        response = await self._send("GET", path, asked, None, seconds + _TIMEOUT)
        if response.status >= 300:  # noqa: PLR2004
            raise _status_error(response.status, await self._read(response.read()), response.response.headers)
        try:
            while line := await self._read(response.response.content.readline()):
                yield json.loads(line)
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


def _status_error(code: int, data: bytes, headers: Mapping[str, str]) -> StatusError:
    """A Status object's message, or the beginning of whatever came."""
    try:
        message = str(json.loads(data).get("message") or data[:200].decode("utf-8", "replace"))
    except (ValueError, AttributeError):
        message = data[:200].decode("utf-8", "replace")
    told = headers.get("Retry-After", "")
    # The API server states seconds; a date, which HTTP allows too, is left to our own pauses.
    return StatusError(code, message, float(told) if told.isascii() and told.isdigit() else None)

"""HTTPS for admission reviews, bounded in everything that a client decides."""

import asyncio
import json
import logging
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from amdgpu_dra.api.errors import HostError
from amdgpu_dra.edge.admission.certificate import Certificate, utc_now

_LOG = logging.getLogger("admission")
PATH = "/validate-resource-claim-parameters"
"""As in AMD's own webhook."""
_FOLLOW_SECONDS = 1.0
_BACKLOG = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one client, and all of them, may take.

    Attributes:
        body: bytes of a review. The API server takes objects of 3 MiB, and an update has two of them.
        seconds: for a body to arrive, and for a TLS handshake.
        idle_seconds: of a connection between requests, and before its first one is complete.
        connections: at a time.
        bodies: that are read at a time; their product with `body` bounds the memory.
    """

    body: int = 7 * 1024 * 1024
    seconds: float = 10.0
    idle_seconds: float = 75.0
    connections: int = 500
    bodies: int = 16


class AdmissionServer:
    """Answers reviews at `PATH`, and `/readyz` once its own answer to a known review is right."""

    def __init__(
        self,
        certificate: Certificate,
        answer: Callable[[bytes], object],
        find_problem: Callable[[], str | None],
        *,
        limits: Limits = Limits(),
    ) -> None:
        """`answer` raises ValueError for what is no review; `find_problem` says why it cannot be relied on."""
        self._certificate, self._answer, self._find_problem = certificate, answer, find_problem
        self._limits = limits
        self._bodies = asyncio.Semaphore(limits.bodies)
        self._following: asyncio.Task[None] | None = None
        application = web.Application(client_max_size=limits.body)
        application.router.add_post(PATH, self._review)
        application.router.add_get("/readyz", self._ready)
        self._runner = web.AppRunner(
            application,
            access_log=None,
            keepalive_timeout=limits.idle_seconds,
            lingering_time=0,
            # The API server sends plain bodies; a small packed one could be a large one.
            auto_decompress=False,
            handle_signals=False,
        )
        self._listener: asyncio.Server | None = None

    async def start(self, port: int) -> int:
        """Serves on a port, 0 for any; gives the port. Raises HostError if it is taken or none."""
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        try:
            self._listener = await loop.create_server(
                self._connect,
                sock=_listen(port),
                ssl=self._certificate.context,
                ssl_handshake_timeout=self._limits.seconds,
            )
        except (OSError, OverflowError) as error:
            await self._runner.cleanup()
            raise HostError(
                f"port {port}",
                expected="a free TCP port that this process may listen on",
                found=str(error),
                action="set --port to another one",
            ) from error
        self._following = asyncio.create_task(self._follow())
        return int(self._listener.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Takes no new connection, lets reviews end, and closes."""
        if self._following is not None:
            self._following.cancel()
        if self._listener is not None:
            self._listener.close()
        await self._runner.shutdown()
        await self._runner.cleanup()

    def _connect(self) -> asyncio.Protocol:
        server = self._runner.server
        if server is None or len(server.connections) >= self._limits.connections:
            return _Refused()
        return server()

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_FOLLOW_SECONDS)
            self._certificate.follow()

    async def _review(self, request: web.Request) -> web.Response:
        start = time.perf_counter()
        if request.content_type != "application/json":
            return _text(415, f"Content-Type: expected application/json, found {request.content_type}")
        if "Content-Encoding" in request.headers:
            return _text(415, "Content-Encoding: expected none")
        try:
            async with self._bodies, asyncio.timeout(self._limits.seconds):
                body = await request.read()
        except TimeoutError:
            return _text(408, f"the body did not arrive within {self._limits.seconds:g} s")
        except web.HTTPRequestEntityTooLarge:
            return _text(413, f"body: expected at most {self._limits.body} bytes")
        try:
            found = self._answer(body)
        except ValueError as error:
            _LOG.warning("refused a request: %s", error)
            return _text(400, str(error))
        _log(found, time.perf_counter() - start)
        return web.Response(body=json.dumps(found).encode(), content_type="application/json")

    async def _ready(self, _request: web.Request) -> web.Response:
        problem = self._certificate.find_problem(utc_now()) or self._find_problem()
        return _text(503, problem) if problem else _text(200, "ok")


def _listen(port: int) -> socket.socket:
    """One socket for both families, where the machine has both."""
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG)
    return socket.create_server(("", port), backlog=_BACKLOG)


class _Refused(asyncio.Protocol):
    """A connection above the limit: closed at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        transport.close()


def _text(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=f"{text}\n")


def _log(found: object, seconds: float) -> None:
    """One line for each review that was refused or warned of; the others are told only when debugging."""
    response = found.get("response") if isinstance(found, dict) else None
    if not isinstance(response, dict):
        return
    level = logging.DEBUG if response.get("allowed") and not response.get("warnings") else logging.INFO
    status = response.get("status")
    facts = {
        "uid": response.get("uid"),
        "allowed": response.get("allowed"),
        "warnings": len(response.get("warnings") or ()),
        "ms": round(seconds * 1000, 1),
    }
    message = status.get("message") if isinstance(status, dict) else "; ".join(response.get("warnings") or ())
    _LOG.log(level, "review: %s", message or "allowed", extra={"facts": facts})

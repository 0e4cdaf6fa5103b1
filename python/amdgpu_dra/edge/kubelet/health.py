"""grpc.health.v1 on a TCP port, for the kubelet's probes."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2 as messages

from amdgpu_dra.api.errors import HostError

_LOG = logging.getLogger("health")
type HealthState = Callable[[], Awaitable[str | None]]
"""None while all is well, else the reason why not."""


class HealthServer:
    """Answers for services: `liveness`, `readiness`, and the empty name, which means liveness."""

    def __init__(self, states: Mapping[str, HealthState]) -> None:
        self._states = states
        self._said: dict[str, str | None] = {}
        self._server = grpc.aio.server()
        handler = grpc.unary_unary_rpc_method_handler(
            self._check, messages.HealthCheckRequest.FromString, messages.HealthCheckResponse.SerializeToString
        )
        self._server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": handler})]
        )

    async def start(self, port: int) -> int:
        """Serves on a port, 0 for any; gives the port. Raises HostError if it is taken."""
        try:
            found = self._server.add_insecure_port(f"[::]:{port}")
        except RuntimeError:
            try:
                found = self._server.add_insecure_port(f"0.0.0.0:{port}")
            except RuntimeError as error:
                raise HostError(
                    f"health port {port}",
                    expected="a free TCP port",
                    found=str(error),
                    action="set --healthcheck-port to another one, 0 for any, -1 for none",
                ) from error
        await self._server.start()
        return found

    async def _check(self, request: Any, context: Any) -> messages.HealthCheckResponse:
        state = self._states.get(request.service)
        if state is None:
            await context.abort(
                grpc.StatusCode.NOT_FOUND, f"service {request.service!r}: one of {sorted(self._states)}"
            )
            raise AssertionError  # abort has raised
        reason = await state()
        if self._said.get(request.service, "") != reason:
            self._said[request.service] = reason
            _LOG.info("%s: %s", request.service or "liveness", reason or "serving")
        status = messages.HealthCheckResponse.NOT_SERVING if reason else messages.HealthCheckResponse.SERVING
        return messages.HealthCheckResponse(status=status)

    async def stop(self) -> None:
        """Stops at once."""
        await self._server.stop(0)

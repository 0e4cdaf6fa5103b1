"""The DRAResourceHealth service, v1 and v1alpha1 by one handler."""

import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from types import ModuleType
from typing import Any

import grpc
from kubelet.health.v1 import health_pb2 as v1
from kubelet.health.v1alpha1 import health_pb2 as v1alpha1

from amdgpu_dra.core.health import Report

_LOG = logging.getLogger("kubelet")

SERVICES: dict[str, ModuleType] = {"v1.DRAResourceHealth": v1, "v1alpha1.DRAResourceHealth": v1alpha1}
# What a plugin says at registration, after the DRA services: the names of both are those of the wire.
SUPPORTED = tuple(SERVICES)
type Watch = Callable[[], AsyncGenerator[Report]]
"""Reports for one stream, the first at once; its end ends the stream."""


class ResourceHealth:
    """Streams the health of a pool's devices to whoever asks, each stream for itself."""

    def __init__(self, pool: str, watch: Watch) -> None:
        self._pool, self._watch = pool, watch

    def handlers(self) -> "list[grpc.GenericRpcHandler[Any, Any]]":
        """One generic handler for each version of the service."""
        return [
            grpc.method_handlers_generic_handler(
                name,
                {
                    "NodeWatchResources": grpc.unary_stream_rpc_method_handler(
                        self._stream(name, messages),
                        messages.NodeWatchResourcesRequest.FromString,
                        messages.NodeWatchResourcesResponse.SerializeToString,
                    )
                },
            )
            for name, messages in SERVICES.items()
        ]

    def _stream(self, name: str, messages: ModuleType) -> Callable[[Any, Any], AsyncIterator[Any]]:
        async def stream(_request: Any, _context: Any) -> AsyncIterator[Any]:
            _LOG.info("%s: a stream begins", name)
            # gRPC cancels this generator when the client goes; what it watches is closed with it, not some time later.
            try:
                async with aclosing(self._watch()) as reports:
                    async for report in reports:
                        yield self._message(messages, report)
            finally:
                _LOG.info("%s: a stream ends", name)

        return stream

    def _message(self, messages: ModuleType, report: Report) -> Any:
        """The report on the wire: seconds since 1970 by this machine's clock, 0 if nobody has looked yet."""
        looked = 0 if report.age is None else int(time.time() - report.age)  # noqa: TID251 - a reader is shown it
        response = messages.NodeWatchResourcesResponse()
        for item in report.devices:
            response.devices.add(
                device=messages.DeviceIdentifier(pool_name=self._pool, device_name=item.published),
                health=messages.HealthStatus.Value(item.health.name),
                last_updated_time=looked,
                health_check_timeout_seconds=report.lease,
                message=item.message,
            )
        return response

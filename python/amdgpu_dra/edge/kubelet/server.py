"""The two Unix sockets: the DRA service's, and the registration's."""

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress

import grpc.aio

from amdgpu_dra.api.errors import HostError
from amdgpu_dra.edge.kubelet.dra import DraService, Handler
from amdgpu_dra.edge.kubelet.registration import RegistrationService
from amdgpu_dra.edge.kubelet.sockets import Sockets, find_stale, temporary_path
from amdgpu_dra.edge.kubelet.watch import ResourceHealth

_LOG = logging.getLogger("kubelet")
# Two of them within the 10 s that the chart gives a probe: a busy node is no reason to end a plugin that answers late.
_ANSWER_SECONDS = 4.0
_OPTIONS = [("grpc.max_receive_message_length", 16 << 20), ("grpc.max_send_message_length", 16 << 20)]


class KubeletServer:
    """Serves the kubelet. Start the DRA service first, then the registration: the kubelet calls at once.

    Attributes:
        guard: inside, no other instance of the plugin places or removes sockets.
        is_replaced: whether another instance serves the kubelet in place of this one.
    """

    def __init__(
        self, driver: str, sockets: Sockets, *, prepare: Handler, unprepare: Handler, health: ResourceHealth
    ) -> None:
        self.sockets, self._driver = sockets, driver
        self.guard: Callable[[], AbstractContextManager[None]] = nullcontext
        self.is_replaced: Callable[[], bool] = lambda: False
        self.registration = RegistrationService(driver, sockets.dra)
        self._service = DraService(prepare, unprepare)
        self._dra = grpc.aio.server(options=_OPTIONS)
        self._dra.add_generic_rpc_handlers(self._service.handlers() + health.handlers())
        self._registrar = grpc.aio.server()
        self._registrar.add_generic_rpc_handlers([self.registration.handler()])
        self._placed: dict[str, os.stat_result] = {}
        self._channels: dict[str, grpc.aio.Channel] = {}

    async def start_dra(self) -> None:
        """Serves the DRA socket. Raises HostError."""
        await self._listen(self._dra, self.sockets.dra)

    async def start_registration(self) -> None:
        """Serves the registration socket; from here on the kubelet calls. Raises HostError."""
        await self._listen(self._registrar, self.sockets.registration)

    async def _listen(self, server: grpc.aio.Server, path: str) -> None:
        """Serves a path. A socket that is there is replaced at once: at no moment is there none.

        gRPC unlinks the path that it was told at its end, whoever has it by then: it is told another one.
        """
        temporary = temporary_path(path, self._driver)
        try:
            os.makedirs(os.path.dirname(path), mode=0o750, exist_ok=True)
            with self.guard():
                server.add_insecure_port(f"unix:{temporary}")
                await server.start()
                self._placed[path] = os.stat(temporary)
                os.rename(temporary, path)
        except (OSError, RuntimeError) as error:
            raise HostError(
                f"socket {path}",
                expected="to listen there",
                found=str(error),
                action="make the folder writable for this process, or name another one by its flag",
            ) from error

    def sweep(self) -> None:
        """Removes the sockets of instances that were killed."""
        plugins, registrar = (
            os.path.dirname(os.path.dirname(self.sockets.dra)),
            os.path.dirname(self.sockets.registration),
        )
        with self.guard():
            for path in list(find_stale(self._driver, plugins=plugins, registrar=registrar)):
                with suppress(OSError):
                    os.unlink(path)
                    _LOG.info("removed socket %s of an instance that was killed", path)

    def _remove(self, path: str) -> None:
        """Removes a socket, unless another instance has taken its place."""
        placed = self._placed.pop(path, None)
        with self.guard(), suppress(OSError):
            if placed is not None and os.path.samestat(placed, os.stat(path)):
                os.unlink(path)

    async def find_problem(self) -> str | None:
        """Asks both sockets as the kubelet would, with nothing to prepare; None if both answer.

        Neither call waits for a claim or for the API server.
        """
        calls = {
            self.sockets.dra: "/k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin/NodePrepareResources",
            self.sockets.registration: "/pluginregistration.Registration/GetInfo",
        }
        for path, method in calls.items():
            if path not in self._channels:
                self._channels[path] = grpc.aio.insecure_channel(f"unix:{path}")
            try:
                await self._channels[path].unary_unary(method, bytes, bytes)(b"", timeout=_ANSWER_SECONDS)
            except grpc.aio.AioRpcError as error:
                return f"socket {path} does not answer: {error.code().name}"
        return None

    async def stop(self, grace: float) -> None:
        """Leaves the kubelet's sight, then lets calls in flight end; within `grace` seconds.

        A kubelet from 1.35 on closes its connection when the registration's socket goes: beside another instance, which
        gets all new calls, those in flight end first. A stream of reports is a call too, and ends with what it watches.
        """
        end = asyncio.get_running_loop().time() + grace
        for channel in self._channels.values():
            await channel.close(None)
        if self.is_replaced():
            with suppress(TimeoutError):
                async with asyncio.timeout_at(end):
                    await self._service.wait_idle()
        await self._registrar.stop(0)
        self._remove(self.sockets.registration)
        await self._dra.stop(max(0.0, end - asyncio.get_running_loop().time()))
        self._remove(self.sockets.dra)
        await asyncio.sleep(0)

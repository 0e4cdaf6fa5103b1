"""The two Unix sockets: the DRA service's, and the registration's."""

import asyncio
import os
from contextlib import suppress
from dataclasses import dataclass

import grpc.aio

from amdgpu_dra.api.errors import HostError, UsageError
from amdgpu_dra.edge.kubelet.dra import DraService, Handler
from amdgpu_dra.edge.kubelet.registration import RegistrationService
from amdgpu_dra.edge.kubelet.watch import ResourceHealth

# sun_path has 108 bytes with its end.
_LONGEST_PATH = 107
# The kubelet's own limit for GetInfo.
_ANSWER_SECONDS = 1.0
_OPTIONS = [("grpc.max_receive_message_length", 16 << 20), ("grpc.max_send_message_length", 16 << 20)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sockets:
    """Paths of the sockets."""

    dra: str
    registration: str

    @classmethod
    def of(cls, driver: str, *, plugins: str, registrar: str) -> "Sockets":
        """The usual names below the kubelet's folders."""
        return cls(dra=f"{plugins}/{driver}/dra.sock", registration=f"{registrar}/{driver}-reg.sock")


class KubeletServer:
    """Serves the kubelet. Start the DRA service first, then the registration: the kubelet calls at once."""

    def __init__(
        self, driver: str, sockets: Sockets, *, prepare: Handler, unprepare: Handler, health: ResourceHealth
    ) -> None:
        """Raises UsageError if a path is too long for a socket."""
        self.sockets = sockets
        for path, flag in (
            (sockets.dra, "--kubelet-plugins-directory-path"),
            (sockets.registration, "--kubelet-registrar-directory-path"),
        ):
            if len(os.fsencode(path)) > _LONGEST_PATH:
                raise UsageError(
                    f"socket {path}",
                    expected=f"a path of at most {_LONGEST_PATH} bytes, which is what Linux takes for a socket",
                    found=f"{len(os.fsencode(path))} bytes",
                    action=f"set {flag} to a shorter path",
                )
        self.registration = RegistrationService(driver, sockets.dra)
        self._dra = grpc.aio.server(options=_OPTIONS)
        self._dra.add_generic_rpc_handlers(DraService(prepare, unprepare).handlers() + health.handlers())
        self._registrar = grpc.aio.server()
        self._registrar.add_generic_rpc_handlers([self.registration.handler()])
        self._listening: list[str] = []
        self._channels: dict[str, grpc.aio.Channel] = {}

    async def start_dra(self) -> None:
        """Serves the DRA socket. Raises HostError."""
        await self._listen(self._dra, self.sockets.dra)

    async def start_registration(self) -> None:
        """Serves the registration socket; from here on the kubelet calls. Raises HostError."""
        await self._listen(self._registrar, self.sockets.registration)

    async def _listen(self, server: grpc.aio.Server, path: str) -> None:
        try:
            os.makedirs(os.path.dirname(path), mode=0o750, exist_ok=True)
            with suppress(FileNotFoundError):
                os.unlink(path)  # of a process that was killed
            server.add_insecure_port(f"unix:{path}")
            await server.start()
        except (OSError, RuntimeError) as error:
            raise HostError(
                f"socket {path}",
                expected="to listen there",
                found=str(error),
                action="make the folder writable for this process, or name another one by its flag",
            ) from error
        self._listening.append(path)

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
        """Leaves the kubelet's sight first, then lets calls in flight end, `grace` seconds at most.

        A stream of reports is such a call, and ends with what it watches.
        """
        for channel in self._channels.values():
            await channel.close(None)
        await self._registrar.stop(0)
        await self._dra.stop(grace)
        for path in self._listening:
            with suppress(FileNotFoundError):
                os.unlink(path)
        self._listening.clear()
        await asyncio.sleep(0)

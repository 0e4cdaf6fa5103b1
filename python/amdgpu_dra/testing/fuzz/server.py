"""The kubelet's socket: a real server, and whatever bytes a caller may send to it."""

import asyncio
import atexit
import socket
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import cache, partial

import grpc.aio
from kubelet.dra.v1 import dra_pb2

from amdgpu_dra.agent.claims import Answer, ClaimManager, ClaimRef, Paths, Survey, Switcher, World
from amdgpu_dra.agent.health import HealthBoard
from amdgpu_dra.core.gpu import Inventory
from amdgpu_dra.edge.kubelet import KubeletServer, ResourceHealth, Sockets
from amdgpu_dra.testing.fakes import (
    FakeClaims,
    FakeClock,
    FakeEvents,
    FakeGpus,
    FakeInstances,
    FakeNodes,
    MemoryCdi,
    MemoryRecords,
)

_DRIVER = "gpu.amd.com"
_METHODS = (
    "/k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin/NodePrepareResources",
    "/k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin/NodeUnprepareResources",
    "/k8s.io.kubelet.pkg.apis.dra.v1beta1.DRAPlugin/NodePrepareResources",
    "/v1.DRAResourceHealth/NodeWatchResources",
    "/no.such.Service/Method",
)
# The beginning of every HTTP/2 connection, and an empty SETTINGS frame.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
_SECONDS = 60


class Server:
    """The sockets, served by the real claim manager on a node without GPUs; one for all inputs."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._folder = tempfile.TemporaryDirectory(prefix="amdgpu-fuzz-", dir="/tmp")
        atexit.register(self._close)
        self.loop.run_until_complete(self._start(self._folder.name))

    async def _start(self, folder: str) -> None:
        gpus, clock = FakeGpus(lambda _modes: Inventory()), FakeClock()
        instances = FakeInstances()
        survey = Survey(gpus, instances)
        world = World(
            api=FakeClaims(),
            nodes=FakeNodes(),
            store=MemoryRecords(),
            cdi=MemoryCdi(),
            clock=clock,
            instances=instances,
        )
        switcher = Switcher(survey, gpus, clock, FakeEvents())
        claims = ClaimManager(Paths(node="n", dev_root="/dev", boot_id="b"), world, survey, switcher)
        self._sockets = Sockets.of(_DRIVER, plugins=folder, registrar=f"{folder}/r")
        self._kubelet = KubeletServer(
            _DRIVER,
            self._sockets,
            prepare=partial(_call, claims.prepare),
            unprepare=partial(_call, claims.unprepare),
            health=ResourceHealth("n", HealthBoard(clock, interval=5).watch),
        )
        await self._kubelet.start_dra()
        self._channel = grpc.aio.insecure_channel(f"unix:{self._sockets.dra}")

    def _close(self) -> None:
        self.loop.run_until_complete(self._channel.close(None))
        self.loop.run_until_complete(self._kubelet.stop(0))
        self.loop.close()
        self._folder.cleanup()

    async def feed(self, data: bytes) -> None:
        """The first byte says where the others go; then a call as the kubelet makes it must be answered."""
        where = data[0] if data else 0
        if where % 8 < len(_METHODS):
            await self._send(_METHODS[where % 8], data[1:])
        else:
            await asyncio.to_thread(self._push, (_PREFACE if where % 8 == len(_METHODS) else b"") + data[1:])
        assert (await self.ask("stranger"))["stranger"].error == ""

    async def ask(self, *uids: str) -> dict[str, dra_pb2.NodeUnprepareResourceResponse]:
        """An Unprepare of claims that nobody knows."""
        claims = [dra_pb2.Claim(namespace="ns", uid=uid, name="c") for uid in uids]
        call = self._channel.unary_unary(
            _METHODS[1],
            dra_pb2.NodeUnprepareResourcesRequest.SerializeToString,
            dra_pb2.NodeUnprepareResourcesResponse.FromString,
        )
        answer = await call(dra_pb2.NodeUnprepareResourcesRequest(claims=claims), timeout=_SECONDS)
        return dict(answer.claims)

    async def _send(self, method: str, message: bytes) -> None:
        try:
            if method == _METHODS[3]:
                async for _ in self._channel.unary_stream(method, bytes, bytes)(message, timeout=_SECONDS):
                    break
            else:
                await self._channel.unary_unary(method, bytes, bytes)(message, timeout=_SECONDS)
        except grpc.aio.AioRpcError as error:
            # UNKNOWN is what the library answers where a message cannot be read.
            if error.code() not in (grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNIMPLEMENTED):
                raise

    def _push(self, data: bytes) -> None:
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(self._sockets.dra)
            raw.sendall(data[: 1 << 14])


async def _call(
    handler: Callable[[Iterable[ClaimRef]], Awaitable[Mapping[str, Answer]]], ids: Iterable[tuple[str, str, str]]
) -> Mapping[str, Answer]:
    return await handler(ClaimRef(*ident) for ident in ids)


@cache
def get_server() -> Server:
    """The one of this process."""
    return Server()


def run_grpc(data: bytes) -> None:
    """What is sent to the socket."""
    server = get_server()
    server.loop.run_until_complete(server.feed(data))

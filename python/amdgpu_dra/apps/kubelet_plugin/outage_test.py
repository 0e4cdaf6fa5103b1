"""API servers that are away in every way a network knows: what needs none works, the rest has its error in time."""

import asyncio
import json
import socket
import ssl
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from amdgpu_dra.agent.claims import PatientClaims
from amdgpu_dra.agent.claims.asking import PATIENCE
from amdgpu_dra.api.errors import NotReadyError
from amdgpu_dra.edge.kube import Connection, KubeApi
from amdgpu_dra.testing.fakeapi import write_kubeconfig
from amdgpu_dra.testing.fakenode import DRIVER, World, tell
from amdgpu_dra.testing.fakes import FakeClock

FIRST, SECOND = "gpu-0000-05-00-0", "gpu-0000-26-00-0"
type Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _silence(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Takes everything and never says a word."""
    while await reader.read(1024):
        pass


async def _dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Promises a body and sends its first byte."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
    await _silence(reader, writer)


def _answer(status: str, *headers: str, body: bytes = b"{}") -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "Connection: close", "", ""]
        writer.write("\r\n".join(lines).encode() + body)
        await writer.drain()

    return talk


@asynccontextmanager
async def _serving(
    talk: Talk, port: int = 0, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """The port of a server that talks so, and an event that somebody has come."""
    came = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.set()
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", port, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1], came
    finally:
        server.close()
        server.close_clients()
        await server.wait_closed()


@asynccontextmanager
async def _asking(address: str) -> AsyncIterator[tuple[PatientClaims, KubeApi, FakeClock]]:
    """Claims of the server at an address, as calls of the kubelet ask for them."""
    with tempfile.TemporaryDirectory(prefix="amdgpu-", dir="/tmp") as folder:
        config = Path(folder) / "kubeconfig"
        write_kubeconfig(config, address)
        connection, clock = Connection(str(config)), FakeClock()
        api = KubeApi(connection, driver=DRIVER, node="n1")
        try:
            yield PatientClaims(api, clock), api, clock
        finally:
            await connection.close()


@pytest.mark.parametrize("talk", [_silence, _dribble], ids=["never-answers", "slow-body"])
def test_a_server_that_hangs_is_given_up(talk: Talk) -> None:
    """Whether no answer comes or only its beginning, the call ends with its patience."""

    async def story() -> None:
        async with _serving(talk) as (port, came), _asking(f"http://127.0.0.1:{port}") as (claims, _, clock):
            call = asyncio.ensure_future(claims.get_claim("ns", "c"))
            await came.wait()
            clock.run_out(PATIENCE)
            with pytest.raises(NotReadyError, match=r"claim ns/c: expected the API server to answer, found nothing"):
                await call

    asyncio.run(story())


def test_a_server_whose_packets_are_dropped_is_given_up() -> None:
    """Nobody takes the connection: the queue of a listener is full, and the kernel drops what else would come."""

    async def story() -> None:
        with socket.socket() as full, socket.socket() as filler:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            filler.connect(full.getsockname())
            async with _asking(f"http://127.0.0.1:{full.getsockname()[1]}") as (claims, api, clock):
                await api._connection.open()
                call = asyncio.ensure_future(claims.get_claim("ns", "c"))
                for _ in range(20):
                    await asyncio.sleep(0)
                assert not call.done()
                clock.run_out(PATIENCE)
                with pytest.raises(NotReadyError, match="found nothing for"):
                    await call

    asyncio.run(story())


@pytest.mark.parametrize(
    ("status", "headers", "retry_after", "refused"),
    [
        ("429 Too Many Requests", ["Retry-After: 7"], 7.0, False),
        ("503 Service Unavailable", ["Retry-After: 100000"], 60.0, False),
        ("503 Service Unavailable", ["Retry-After: Wed, 21 Oct 2037 07:28:00 GMT"], None, False),
        ("500 Internal Server Error", [], None, False),
        ("409 Conflict", [], None, False),
        ("401 Unauthorized", [], None, True),
        ("403 Forbidden", [], None, True),
    ],
    ids=["busy", "busy-for-ever", "date", "broken", "conflict", "unauthorized", "forbidden"],
)
def test_what_a_server_says_of_later_is_kept(
    status: str, headers: list[str], retry_after: float | None, *, refused: bool
) -> None:
    """Seconds of a Retry-After, a minute at most; and whether it is of any use to ask again."""

    async def story() -> None:
        talk = _answer(status, *headers)
        async with _serving(talk) as (port, _), _asking(f"http://127.0.0.1:{port}") as (_, api, _clock):
            with pytest.raises(NotReadyError, match=f"status {status[:3]}") as raised:
                await api.list_slices()
            assert (raised.value.retry_after, raised.value.refused) == (retry_after, refused)

    asyncio.run(story())


def test_a_certificate_that_is_not_the_servers_is_an_error_of_its_claim(tmp_path: Path) -> None:
    """One of another host: nothing is sent to such a server, and the error says so."""
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=elsewhere"]
    command += ["-addext", "subjectAltName=DNS:elsewhere", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, capture_output=True, check=True)

    async def story() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        async with _serving(_silence, tls=context) as (port, came):
            cluster = {"server": f"https://localhost:{port}", "certificate-authority": str(certificate)}
            config = {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": cluster}],
                "users": [{"name": "u", "user": {}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
            (tmp_path / "kubeconfig").write_text(json.dumps(config))
            connection = Connection(str(tmp_path / "kubeconfig"))
            try:
                api = KubeApi(connection, driver=DRIVER, node="n1")
                with pytest.raises(NotReadyError, match="certificate"):
                    await api.find_claim("ns", "c")
                assert not came.is_set()
            finally:
                await connection.close()

    asyncio.run(story())


def test_what_needs_no_api_server_works_without_one() -> None:
    """It never answers: Prepare of a prepared claim and Unprepare work, before and after a start."""

    async def story(world: World) -> None:
        plugin, kubelet = await world.start()
        await world.published()
        held, other = await world.claim("held", FIRST), await world.claim("other", SECOND)
        first = (await kubelet.prepare(held))[held["metadata"]["uid"]]
        port = int(world.api.address.rpartition(":")[2])
        await world.api.stop()
        async with _serving(_silence, port) as (_, came):
            assert first == (await kubelet.prepare(held))[held["metadata"]["uid"]]
            waiting = asyncio.ensure_future(kubelet.prepare(other))
            await came.wait()
            assert first == (await kubelet.prepare(held))[held["metadata"]["uid"]]
            error = (await waiting)[other["metadata"]["uid"]].error
            assert "expected the API server to answer, found nothing for 10 s" in error

            await plugin.stop()
            await kubelet.close()
            plugin, kubelet = await world.start()
            assert first == (await kubelet.prepare(held))[held["metadata"]["uid"]]
            for claim in (held, other):
                assert (await kubelet.unprepare(claim))[claim["metadata"]["uid"]].error == ""
            assert list(plugin.cdi.glob("*.json")) == []
        await world.api.start(port)
        assert (await kubelet.prepare(other))[other["metadata"]["uid"]].error == ""
        await plugin.stop()

    tell(story, seconds=120)


def test_a_busy_server_is_asked_again_within_the_call() -> None:
    """Refused with 429 for no time at all, a Prepare succeeds by a second question, and the kubelet sees nothing."""

    async def story(world: World) -> None:
        plugin, kubelet = await world.start()
        await world.published()
        claim = await world.claim("c", FIRST)
        while "watch resourceslices" not in world.api.asked:
            await asyncio.sleep(0.01)
        world.api.refusals.append((429, {"Retry-After": "0"}))
        assert (await kubelet.prepare(claim))[claim["metadata"]["uid"]].error == ""
        assert world.api.asked.count("get resourceclaims") == 2
        await plugin.stop()

    tell(story)


def test_every_refusal_of_a_start_is_outlasted() -> None:
    """Whatever the first requests are answered with, the slices are there in the end."""

    async def story(world: World) -> None:
        world.api.refusals += [
            (429, {"Retry-After": "0"}),
            (500, {}),
            (503, {"Retry-After": "0"}),
            (401, {}),
            (409, {}),
        ]
        plugin, _ = await world.start()
        while not world.api.asked.count("watch resourceslices"):
            await asyncio.sleep(0.02)
        assert len(await world.devices()) == 8
        await plugin.stop()

    tell(story)

"""The connection, against servers of its own: what is sent, what is kept, and what every odd answer becomes."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from amdgpu_dra.api.errors import NotReadyError, UsageError
from amdgpu_dra.edge.kube import Connection
from amdgpu_dra.edge.kube.connection import StatusError

PEMS = Path(__file__).parent / "testdata"
type Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Answers with one function, and keeps what came."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.requests: list[web.Request] = []
        self.peers: set[object] = set()
        self.port = 0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Any request."""
        assert isinstance(request, web.Request)
        self.requests.append(request)
        self.peers.add(request.transport and request.transport.get_extra_info("peername"))
        await request.read()
        return await self._answer(request)


@asynccontextmanager
async def serving(answer: Answer, context: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """A server on this machine."""
    server = Server(answer)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def connected(
    folder: Path, cluster: dict[str, Any], user: dict[str, Any] | None = None
) -> AsyncIterator[Connection]:
    """A connection by a kubeconfig."""
    path = folder / "config"
    path.write_text(
        json.dumps(
            {
                "current-context": "x",
                "clusters": [{"name": "c", "cluster": cluster}],
                "users": [{"name": "u", "user": user or {}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            }
        )
    )
    connection = Connection(str(path))
    try:
        yield connection
    finally:
        await connection.close()


async def ok(_request: web.Request) -> web.StreamResponse:
    """An object."""
    return web.json_response({"kind": "Pod"})


def test_what_is_sent(tmp_path: Path) -> None:
    """Method, path below the server's own, query, body, token; one connection for all, and each is told of."""

    async def run() -> None:
        async with serving(ok) as server:
            cluster = {"server": f"http://127.0.0.1:{server.port}/prefix"}
            async with connected(tmp_path, cluster, {"token": "t"}) as connection:
                told: list[tuple[str, int]] = []
                connection.on_request = lambda verb, code, _: told.append((verb, code))
                for _ in range(3):
                    assert await connection.request("PUT", "/a%2Fb", query={"s": "x=1,y=2"}, body={"a": 1}) == {
                        "kind": "Pod"
                    }
            sent = server.requests[0]
            assert (sent.method, sent.raw_path.partition("?")[0]) == ("PUT", "/prefix/a%2Fb")
            assert dict(sent.query) == {"s": "x=1,y=2"}
            assert await sent.json() == {"a": 1}
            assert sent.headers["Authorization"] == "Bearer t"
            assert sent.headers["Content-Type"] == "application/json"
            assert len(server.peers) == 1
            assert told == [("PUT", 200)] * 3

    asyncio.run(run())


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    """The token goes to nobody but the server; the error has where it would have led."""

    async def run() -> None:
        async with serving(ok) as elsewhere:

            async def away(_request: web.Request) -> web.StreamResponse:
                return web.Response(status=307, headers={"Location": f"http://127.0.0.1:{elsewhere.port}/"})

            async with serving(away) as server:
                cluster = {"server": f"http://127.0.0.1:{server.port}"}
                async with connected(tmp_path, cluster, {"token": "t"}) as connection:
                    with pytest.raises(StatusError, match=f"{elsewhere.port}") as caught:
                        await connection.request("GET", "/x")
            assert caught.value.code == 307
            assert elsewhere.requests == []

    asyncio.run(run())


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (429, '{"message": "slow down"}', "slow down"),
        (404, '{"kind": "Status"}', '{"kind": "Status"}'),
        (503, "<html>", "<html>"),
        (500, "[]", "[]"),
        (500, '{"message": "a \\ud800"}', "a \\ud800"),
        (500, "[" * 100_000, "[" * 200),
        (401, "", ""),
    ],
)
def test_errors_of_the_server(tmp_path: Path, status: int, body: str, message: str) -> None:
    """Code and message reach the caller at once: nothing is tried again here."""

    async def refuse(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=body, headers={"Retry-After": "1"})

    async def run() -> None:
        async with serving(refuse) as server:
            async with connected(tmp_path, {"server": f"http://127.0.0.1:{server.port}"}) as connection:
                with pytest.raises(StatusError) as caught:
                    await connection.request("GET", "/x")
            assert (caught.value.code, caught.value.message) == (status, message)
            assert len(server.requests) == 1

    asyncio.run(run())


def test_a_refused_token_is_read_anew(tmp_path: Path) -> None:
    """By the next request, not after a minute."""
    token = tmp_path / "token"
    token.write_text("old")

    async def only_new(request: web.Request) -> web.StreamResponse:
        return await ok(request) if request.headers["Authorization"] == "Bearer new" else web.Response(status=401)

    async def run() -> None:
        async with serving(only_new) as server:
            cluster = {"server": f"http://127.0.0.1:{server.port}"}
            async with connected(tmp_path, cluster, {"tokenFile": "token"}) as connection:
                with pytest.raises(StatusError):
                    await connection.request("GET", "/x")
                token.write_text("new")
                assert await connection.request("GET", "/x") == {"kind": "Pod"}

    asyncio.run(run())


@pytest.mark.parametrize(
    "text",
    ["<html>a portal</html>", "[]", "", '{"name": "\\ud800"}', '{"\\uDFFF": 1}', '{"a":' + "[" * 100_000, "9" * 5000],
)
def test_what_is_no_object_is_no_answer(tmp_path: Path, text: str) -> None:
    """Something stands in between; it is worth another try. Half of a surrogate pair could be told to nobody."""

    async def portal(_request: web.Request) -> web.StreamResponse:
        return web.Response(text=text)

    async def run() -> None:
        async with (
            serving(portal) as server,
            connected(tmp_path, {"server": f"http://127.0.0.1:{server.port}"}) as connection,
        ):
            with pytest.raises(NotReadyError, match="expected a JSON object"):
                await connection.request("GET", "/x")

    asyncio.run(run())


def test_a_server_that_is_away(tmp_path: Path) -> None:
    """Is not ready, with a status of 0 told, and is found again without a new connection object."""

    async def run() -> None:
        async with serving(ok) as server:
            port = server.port
        async with connected(tmp_path, {"server": f"http://127.0.0.1:{port}"}) as connection:
            told: list[int] = []
            connection.on_request = lambda _verb, code, _: told.append(code)
            with pytest.raises(NotReadyError, match=f"API server http://127.0.0.1:{port}: expected an answer"):
                await connection.request("GET", "/x")
            assert told == [0]

    asyncio.run(run())


def test_an_answer_that_breaks_off(tmp_path: Path) -> None:
    """Is not ready, for a read and for a watch."""

    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b'{"a": ')
        if request.transport is not None:
            request.transport.abort()
        return response

    async def run() -> None:
        async with (
            serving(cut) as server,
            connected(tmp_path, {"server": f"http://127.0.0.1:{server.port}"}) as connection,
        ):
            with pytest.raises(NotReadyError):
                await connection.request("GET", "/x")
            with pytest.raises(NotReadyError):
                assert [event async for event in connection.stream("/x", {}, 300)] == []

    asyncio.run(run())


_EVENTS = st.lists(
    st.fixed_dictionaries({"type": st.sampled_from(["ADDED", "MODIFIED"]), "object": st.text(max_size=30)}), max_size=4
)


@settings(max_examples=30)
@given(_EVENTS, st.integers(1, 40))
def test_a_watch_however_it_is_cut(tmp_path_factory: pytest.TempPathFactory, events: list[Any], size: int) -> None:
    """Events come as they were sent, wherever the network parts them."""
    data = b"".join(json.dumps(event, ensure_ascii=False).encode() + b"\n" for event in events)

    async def watch(request: web.Request) -> web.StreamResponse:
        assert request.query["watch"] == "true"
        response = web.StreamResponse()
        await response.prepare(request)
        for start in range(0, len(data), size):
            await response.write(data[start : start + size])
        return response

    async def run() -> None:
        async with serving(watch) as server:
            cluster = {"server": f"http://127.0.0.1:{server.port}"}
            async with connected(tmp_path_factory.mktemp("k"), cluster) as connection:
                assert [event async for event in connection.stream("/x", {}, 300)] == events

    asyncio.run(run())


def test_an_event_of_a_megabyte(tmp_path: Path) -> None:
    """A slice of 128 devices is longer than a line may be for the library."""
    event = {"type": "ADDED", "object": "x" * 2**20}

    async def watch(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=json.dumps(event).encode() + b"\n")

    async def run() -> None:
        async with (
            serving(watch) as server,
            connected(tmp_path, {"server": f"http://127.0.0.1:{server.port}"}) as connection,
        ):
            assert [found async for found in connection.stream("/x", {}, 300)] == [event]

    asyncio.run(run())


def _context(name: str, *, asks: bool = False) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(PEMS / name)
    if asks:
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.load_verify_locations(PEMS / "authority.pem")
        context.verify_mode = ssl.CERT_REQUIRED
    return context


_AUTHORITY = {"certificate-authority": str(PEMS / "authority.pem")}


@pytest.mark.parametrize(
    ("name", "cluster", "works"),
    [
        ("server.pem", _AUTHORITY, True),
        ("server.pem", _AUTHORITY | {"tls-server-name": "api.example"}, True),
        ("server.pem", _AUTHORITY | {"tls-server-name": "other.example"}, False),
        ("server.pem", {}, False),
        ("other.pem", _AUTHORITY, False),
        ("other.pem", {"insecure-skip-tls-verify": True}, True),
    ],
)
def test_whom_it_trusts(tmp_path: Path, name: str, cluster: dict[str, Any], works: bool) -> None:  # noqa: FBT001
    """The CA that was named, the name that was named, or anyone if so told; the token is sent to none else."""

    async def run() -> None:
        async with serving(ok, _context(name)) as server:
            cluster["server"] = f"https://127.0.0.1:{server.port}"
            async with connected(tmp_path, cluster, {"token": "t"}) as connection:
                with contextlib.nullcontext() if works else pytest.raises(NotReadyError, match="ertificate"):
                    await connection.request("GET", "/x")
            assert bool(server.requests) == works

    asyncio.run(run())


def test_client_certificates(tmp_path: Path) -> None:
    """Are shown; without, the server refuses the connection."""

    async def run() -> None:
        async with serving(ok, _context("server.pem", asks=True)) as server:
            cluster = _AUTHORITY | {"server": f"https://127.0.0.1:{server.port}"}
            client = str(PEMS / "client.pem")
            async with connected(tmp_path, cluster, {"client-certificate": client, "client-key": client}) as connection:
                assert await connection.request("GET", "/x") == {"kind": "Pod"}
            async with connected(tmp_path, cluster) as connection:
                with pytest.raises(NotReadyError):
                    await connection.request("GET", "/x")

    asyncio.run(run())


def test_through_a_proxy(tmp_path: Path) -> None:
    """TLS is with the server; the proxy sees where to, and its own password, and never the token."""
    seen = b""

    async def run() -> None:
        async with serving(ok, _context("server.pem")) as server:

            async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                nonlocal seen
                seen = await reader.readuntil(b"\r\n\r\n")
                behind, ahead = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

                async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
                    while data := await source.read(65536):
                        target.write(data)
                    target.close()

                await asyncio.gather(pump(reader, ahead), pump(behind, writer))

            proxy = await asyncio.start_server(tunnel, "127.0.0.1", 0)
            port = proxy.sockets[0].getsockname()[1]
            cluster = _AUTHORITY | {"server": "https://api.example:1", "proxy-url": f"http://me:pw@127.0.0.1:{port}"}
            async with connected(tmp_path, cluster, {"token": "sesame"}) as connection:
                assert await connection.request("GET", "/x") == {"kind": "Pod"}
            proxy.close()
            await proxy.wait_closed()

    asyncio.run(run())
    assert seen.startswith(b"CONNECT api.example:1 ")
    assert b"Proxy-Authorization: Basic bWU6cHc=" in seen
    assert b"sesame" not in seen


def test_credentials_that_cannot_be_used(tmp_path: Path) -> None:
    """Are the operator's to mend, and the message names them."""

    async def run() -> None:
        async with connected(tmp_path, {"server": "https://h", "certificate-authority": "absent"}) as connection:
            with pytest.raises(UsageError, match=r"absent"):
                await connection.open()

    asyncio.run(run())

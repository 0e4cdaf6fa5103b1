"""The kubelet's sockets and services, on real sockets: limits of paths and messages, and the one line of a call."""

import asyncio
import logging
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc.aio
import pytest
from kubelet.dra.v1 import dra_pb2, dra_pb2_grpc
from kubelet.pluginregistration.v1 import registration_pb2

from amdgpu_dra.api.errors import UsageError
from amdgpu_dra.core.claims import PlannedDevice
from amdgpu_dra.core.health import Report
from amdgpu_dra.edge.kubelet import KubeletServer, ResourceHealth, Sockets
from amdgpu_dra.edge.kubelet.dra import ClaimId, Handler
from amdgpu_dra.edge.kubelet.registration import RegistrationService


@dataclass
class Said:
    """An answer for a claim."""

    devices: tuple[PlannedDevice, ...] = ()
    error: str = ""


def _device(number: int) -> PlannedDevice:
    """As long as the API lets names be."""
    name = f"gpu-{number}".ljust(63, "x")
    ident = f"k8s.gpu.amd.com/gpu={'u' * 36}-{name}"
    return PlannedDevice(request="r" * 63, pool="n" * 253, device=name, cdi_ids=(ident,), share_id="s" * 36)


async def _all(ids: Iterable[ClaimId], answer: Callable[[str], Said]) -> Mapping[str, Said]:
    return {uid: answer(uid) for uid, _, _ in ids}


async def _no_reports() -> AsyncGenerator[Report]:
    reports: tuple[Report, ...] = ()
    for report in reports:
        yield report


type Story = Callable[[Any], Awaitable[None]]


def _serve(prepare: Handler, story: Story, *, pad: int = 0) -> None:
    """Lets a story call a server whose path of the DRA socket has `pad` bytes, if that is more than it needs."""

    async def run(folder: str) -> None:
        path = f"{folder}/{'d' * max(1, pad - len(folder) - len('//dra.sock'))}/dra.sock"
        sockets = Sockets(dra=path, registration=f"{folder}/r.sock")
        server = KubeletServer(
            "gpu.amd.com",
            sockets,
            prepare=prepare,
            unprepare=lambda ids: _all(ids, lambda _: Said()),
            health=ResourceHealth("n", _no_reports),
        )
        await server.start_dra()
        try:
            async with grpc.aio.insecure_channel(f"unix:{path}") as channel:
                await story(dra_pb2_grpc.DRAPluginStub(channel))  # type: ignore[no-untyped-call]
        finally:
            await server.stop(0)

    with tempfile.TemporaryDirectory(prefix="k", dir="/tmp") as folder:
        asyncio.run(run(folder))


def _request(*uids: str, padding: int = 0) -> dra_pb2.NodePrepareResourcesRequest:
    claims = [dra_pb2.Claim(uid=uid, namespace="ns", name=f"c-{uid}{'x' * padding}") for uid in uids]
    return dra_pb2.NodePrepareResourcesRequest(claims=claims)


def test_a_path_of_107_bytes_is_a_socket() -> None:
    """The longest that is taken works with a client that dials as the kubelet does."""

    async def story(stub: Any) -> None:
        assert "a" in (await stub.NodePrepareResources(_request("a"))).claims

    _serve(lambda ids: _all(ids, lambda _: Said()), story, pad=107)


@pytest.mark.parametrize("which", ["dra", "registration"])
@pytest.mark.parametrize("letter", ["x", "é"], ids=["ascii", "bytes-not-letters"])
def test_a_path_of_108_bytes_is_refused_with_its_flag(which: str, letter: str) -> None:
    """The message says the limit, the length in bytes, and which flag to set."""
    flag = {"dra": "--kubelet-plugins-directory-path", "registration": "--kubelet-registrar-directory-path"}[which]
    name = {"dra": "/gpu.amd.com/dra.sock", "registration": "/gpu.amd.com-reg.sock"}[which]
    left = 108 - len(name) - 1
    long = f"/{letter * (left // len(letter.encode()))}{'y' * (left % len(letter.encode()))}"
    found = f"at most 107 bytes, which is what Linux takes for a socket, found 108 bytes; set {flag} to a shorter path"

    with pytest.raises(UsageError, match=found):
        Sockets.of(
            "gpu.amd.com",
            plugins=long if which == "dra" else "/p",
            registrar=long if which == "registration" else "/r",
        )


def test_an_answer_stays_below_what_a_kubelet_takes() -> None:
    """1,000 claims of 32 devices with the longest names are 18 MB: what fits is answered, the rest is a clear error."""

    async def story(stub: Any) -> None:
        response = await stub.NodePrepareResources(_request(*(f"{i:036}" for i in range(1000))))
        assert len(response.claims) == 1000
        assert response.ByteSize() < 4 << 20
        answered = [entry for entry in response.claims.values() if not entry.error]
        assert len(answered) > 100
        assert all(len(entry.devices) == 32 for entry in answered)
        (error,) = {entry.error.partition(": ")[2] for entry in response.claims.values() if entry.error}
        assert error.startswith("expected an answer of at most 4194304 bytes for all claims of one call, found more")

    devices = tuple(_device(i) for i in range(32))
    _serve(lambda ids: _all(ids, lambda _: Said(devices=devices)), story)


def test_a_thousand_claims_of_a_device_each_have_their_answer() -> None:
    """With the longest names they are half a megabyte, and nothing is cut."""

    async def story(stub: Any) -> None:
        response = await stub.NodePrepareResources(_request(*(f"{i:036}" for i in range(1000))))
        assert len(response.claims) == 1000
        assert not any(entry.error for entry in response.claims.values())

    _serve(lambda ids: _all(ids, lambda _: Said(devices=(_device(0),))), story)


def test_a_request_above_gRPCs_default_is_read_and_one_above_ours_refused() -> None:  # noqa: N802 - its name
    """5 MB are no reason to fail a pod; 17 MB are an error that says both sizes, and the next call is served."""

    async def story(stub: Any) -> None:
        assert len((await stub.NodePrepareResources(_request("a", padding=5_000_000))).claims) == 1
        with pytest.raises(grpc.aio.AioRpcError, match=r"larger than max \(17\d+ vs. 16777216\)") as caught:
            await stub.NodePrepareResources(_request("a", padding=17_000_000))
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert len((await stub.NodePrepareResources(_request("a"))).claims) == 1

    _serve(lambda ids: _all(ids, lambda _: Said()), story)


def test_an_error_of_a_megabyte_is_cut_off() -> None:
    """What a kubelet could not write into an Event is of no use to it."""

    async def story(stub: Any) -> None:
        response = await stub.NodePrepareResources(_request("a"))
        assert len(response.claims["a"].error) == 1001

    _serve(lambda ids: _all(ids, lambda _: Said(error="x" * 1_000_000)), story)


def test_a_claim_that_is_named_twice_has_one_answer() -> None:
    """Its devices are not doubled."""

    async def story(stub: Any) -> None:
        response = await stub.NodePrepareResources(_request("a", "a"))
        assert len(response.claims["a"].devices) == 1

    _serve(lambda ids: _all(ids, lambda _: Said(devices=(_device(0),))), story)


def _facts(log: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [record.__dict__["facts"] for record in log.records if "facts" in record.__dict__]


def test_a_call_has_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """With what was asked, what came of it and how long it took; a call without a claim, as our own probe, has none."""
    caplog.set_level(logging.INFO)

    async def story(stub: Any) -> None:
        await stub.NodePrepareResources(_request())
        await stub.NodePrepareResources(_request("a", "b"))
        await stub.NodeUnprepareResources(dra_pb2.NodeUnprepareResourcesRequest(claims=_request("a").claims))

    _serve(lambda ids: _all(ids, lambda uid: Said(error="no") if uid == "b" else Said(devices=(_device(0),))), story)
    first, second = _facts(caplog)
    assert (first.pop("ms") >= 0, second.pop("ms") >= 0) == (True, True)
    assert first == {
        "method": "Prepare",
        "call": 1,
        "count": 2,
        "failed": 1,
        "claims": "ns/c-a:a,ns/c-b:b",
        "devices": _device(0).device,
        "error": "no",
    }
    assert second == {"method": "Unprepare", "call": 2, "count": 1, "failed": 0, "claims": "ns/c-a:a"}
    levels = [record.levelname for record in caplog.records if "facts" in record.__dict__]
    assert levels == ["ERROR", "INFO"]


def test_a_thousand_claims_are_one_bounded_line(caplog: pytest.LogCaptureFixture) -> None:
    """Eight of them by name, and how many more."""
    caplog.set_level(logging.INFO)

    async def story(stub: Any) -> None:
        await stub.NodePrepareResources(_request(*(str(i) for i in range(1000))))

    _serve(lambda ids: _all(ids, lambda _: Said(error="x" * 5000)), story)
    (facts,) = _facts(caplog)
    assert facts["claims"].endswith(",and 992 more")
    assert facts["error"].endswith("; and 992 more")
    assert len(str(facts)) < 10_000


def test_a_call_that_is_given_up_has_its_line(caplog: pytest.LogCaptureFixture) -> None:
    """The kubelet's deadline passes while a claim waits: which call it was and how long it took is in the log."""
    caplog.set_level(logging.INFO)
    begun = asyncio.Event()

    async def forever(ids: Iterable[ClaimId]) -> Mapping[str, Said]:
        begun.set()
        await asyncio.Event().wait()
        return {uid: Said() for uid, _, _ in ids}

    async def story(stub: Any) -> None:
        call = stub.NodePrepareResources(_request("a"))
        await begun.wait()
        call.cancel()
        async with asyncio.timeout(20):
            while not _facts(caplog):
                await asyncio.sleep(0.01)

    _serve(forever, story)
    (facts,) = _facts(caplog)
    assert (facts["call"], facts["claims"], facts["failed"]) == (1, "ns/c-a:a", 0)
    assert "given up by the kubelet" in caplog.text


def test_a_refused_registration_is_told_and_kept() -> None:
    """What the kubelet said goes to who tells users; the call succeeds all the same, and a later success ends it."""
    service, told = RegistrationService("gpu.amd.com", "/d"), list[str]()
    service.on_refused = told.append

    async def story() -> None:
        for taken, error in ((False, "no such version"), (True, "")):
            status = registration_pb2.RegistrationStatus(plugin_registered=taken, error=error)
            await service._notify(status, None)
            assert (service.registered, service.error) == (taken, error)

    asyncio.run(story())
    assert told == ["the kubelet refused the registration: no such version"]

"""The real process on records of other releases, on records that are damaged, and on a folder that cannot be read."""

import asyncio
import hashlib
import json
import shutil
import socket
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from amdgpu_dra.api.reasons import Reason
from amdgpu_dra.testing.fakenode import World, tell, until

FIRST, SECOND, THIRD = "gpu-0000-05-00-0", "gpu-0000-26-00-0", "gpu-0000-46-00-0"
EVENTS = "/apis/events.k8s.io/v1/namespaces/{namespace}/events"
RELEASED = sorted(Path("python/amdgpu_dra/api/checkpoint/testdata").glob("*/ready.json"))


def _uid(claim: dict[str, Any]) -> str:
    return str(claim["metadata"]["uid"])


def _read(path: Path) -> dict[str, Any]:
    raw: dict[str, Any] = json.loads(path.read_bytes().splitlines()[0])
    return raw


def _write(path: Path, raw: dict[str, Any]) -> None:
    body = json.dumps(raw, separators=(",", ":"), sort_keys=True).encode()
    path.write_bytes(body + b"\n" + hashlib.sha256(body).hexdigest().encode() + b"\n")


async def _told(world: World, reason: Reason, *, namespace: str = "default") -> list[str]:
    """The notes of all Events of a reason, once there is one."""
    async with asyncio.timeout(20):
        while True:
            found = await world.client.call("GET", EVENTS.format(namespace=namespace))
            if notes := [item["note"] for item in found["items"] if item["reason"] == reason]:
                return notes
            await asyncio.sleep(0.02)


def test_fields_of_a_later_release_outlive_this_one() -> None:
    """Written here, added to by N+1, back here: the repeat answers as before, and all that was added is on disk."""

    async def story(world: World) -> None:
        plugin, kubelet = await world.start()
        await world.published()
        stays, goes = await world.claim("stays", FIRST), await world.claim("goes", SECOND)
        before = (await kubelet.prepare(stays, goes))[_uid(stays)]
        await world.crash(plugin, kubelet)
        added = {"reservedAt": [1, {"x": None}], "writer": "9.9.0"}
        for claim in (stays, goes):
            path = plugin.records / f"{_uid(claim)}.json"
            raw = _read(path) | added
            raw["devices"][0]["slot"] = 3
            raw["state"] = "Preparing" if claim is stays else "Ready"
            _write(path, raw)

        plugin, kubelet = await world.start()
        assert (await kubelet.prepare(stays))[_uid(stays)] == before
        assert (await kubelet.unprepare(goes))[_uid(goes)].error == ""
        (path,) = plugin.records.glob("*.json")
        raw = _read(path)
        assert (raw["uid"], raw["state"], raw["reservedAt"], raw["devices"][0]["slot"]) == (
            _uid(stays),
            "Ready",
            [1, {"x": None}],
            3,
        )
        assert (await kubelet.unprepare(stays))[_uid(stays)].error == ""
        assert list(plugin.records.iterdir()) == list(plugin.cdi.iterdir()) == []
        await plugin.stop()

    tell(story)


@pytest.mark.parametrize("released", RELEASED, ids=lambda path: path.parent.name)
def test_claims_that_a_release_prepared_are_taken_over(released: Path) -> None:
    """A record in the form of each release: the repeat answers as before, a thief is refused, the end is clean."""

    async def story(world: World) -> None:
        plugin, kubelet = await world.start()
        await world.published()
        claim, thief = await world.claim("c", FIRST), await world.claim("thief", FIRST)
        before = (await kubelet.prepare(claim))[_uid(claim)]
        path = plugin.records / f"{_uid(claim)}.json"
        now = _read(path)
        await world.crash(plugin, kubelet)
        raw = _read(released)
        # The form of that release, with what is this claim's, which has no alias.
        (device,) = raw["devices"]
        ours = {name: ({"alias": ""} | now["devices"][0])[name] for name in device}
        _write(path, {name: now[name] for name in raw} | {"devices": [ours], "version": raw["version"]})

        plugin, kubelet = await world.start()
        assert (await kubelet.prepare(claim))[_uid(claim)] == before
        assert "prepared for claim default/c" in (await kubelet.prepare(thief))[_uid(thief)].error
        assert (await kubelet.unprepare(claim))[_uid(claim)].error == ""
        assert list(plugin.records.iterdir()) == list(plugin.cdi.iterdir()) == []
        await plugin.stop()

    tell(story)


def test_a_version_that_is_not_known_is_refused_and_harms_no_other() -> None:
    """Its claim is told which version wrote it; its device stays held; others are served; the upgrade serves it."""

    async def story(world: World) -> None:
        plugin, kubelet = await world.start()
        await world.published()
        newer, other, thief = [
            await world.claim(name, device) for name, device in (("newer", FIRST), ("other", SECOND), ("thief", FIRST))
        ]
        before = await kubelet.prepare(newer, other)
        path = plugin.records / f"{_uid(newer)}.json"
        ours = path.read_bytes()
        await world.crash(plugin, kubelet)
        _write(path, _read(path) | {"version": 2, "writer": "9.1.0"})
        theirs = path.read_bytes()

        plugin, kubelet = await world.start()
        answers = await kubelet.prepare(newer, other, thief)
        assert "found one of driver version 9.1.0 (version 2); upgrade the driver" in answers[_uid(newer)].error
        assert answers[_uid(other)] == before[_uid(other)]
        assert "prepared for claim default/newer" in answers[_uid(thief)].error
        assert "9.1.0" in (await kubelet.unprepare(newer))[_uid(newer)].error
        assert "9.1.0" in (await _told(world, Reason.RECORD_NEWER))[0]
        assert path.read_bytes() == theirs
        await plugin.stop()
        await kubelet.close()

        path.write_bytes(ours)
        plugin, kubelet = await world.start()
        assert (await kubelet.prepare(newer))[_uid(newer)] == before[_uid(newer)]
        await plugin.stop()

    tell(story)


def test_a_record_and_its_document_are_made_anew_from_the_api_server() -> None:
    """Damaged twice and with its document lost: both files are kept, the node has an Event, and all is as before."""

    async def story(world: World) -> None:
        plugin, kubelet = await world.start()
        await world.published()
        claim = await world.claim("c", FIRST)
        await world.reserve(claim)
        before = (await kubelet.prepare(claim))[_uid(claim)]
        record = plugin.records / f"{_uid(claim)}.json"
        kept = record.read_bytes()
        for text in ("first", "second"):
            await world.crash(plugin, kubelet)
            record.write_text(text)
            shutil.rmtree(plugin.cdi)
            plugin, kubelet = await world.start()
            await until(lambda: record.read_bytes() == kept)

        texts = [path.read_text() for path in sorted(plugin.records.glob("*.corrupt*"))]
        assert texts == ["first", "second"]
        assert "the checksum does not fit the bytes" in (await _told(world, Reason.RECORD_LOST))[0]
        await world.api.stop()
        assert (await kubelet.prepare(claim))[_uid(claim)] == before
        assert (await kubelet.unprepare(claim))[_uid(claim)].error == ""
        assert list(plugin.cdi.iterdir()) == list(plugin.records.glob("*.json")) == []
        await plugin.stop()

    tell(story)


def test_a_folder_of_records_that_vanished_is_no_empty_one() -> None:
    """With documents there, every claim that pods have here gets its record back, even if its document is lost too."""

    async def story(world: World) -> None:
        plugin, kubelet = await world.start()
        await world.published()
        claims = [await world.claim("c", FIRST), await world.claim("d", SECOND), await world.claim("e", THIRD)]
        for claim in claims:
            await world.reserve(claim)
        await kubelet.prepare(*claims)
        before = {path.name: path.read_bytes() for path in plugin.records.iterdir()}
        await world.crash(plugin, kubelet)
        shutil.rmtree(plugin.records)
        (document,) = plugin.cdi.glob(f"*{_uid(claims[0])}*")
        document.unlink()

        plugin, kubelet = await world.start()
        await until(lambda: before.keys() <= {path.name for path in plugin.records.iterdir()})
        assert before.items() <= {path.name: path.read_bytes() for path in plugin.records.iterdir()}.items()
        thief = await world.claim("thief", FIRST)
        assert "prepared for claim default/c" in (await kubelet.prepare(thief))[_uid(thief)].error
        await plugin.stop()

    tell(story)


def test_without_the_right_to_list_a_lost_claim_waits_for_the_kubelet() -> None:
    """The Event names the right; the claim's own Prepare makes all anew, and others are served."""

    async def story(world: World) -> None:
        plugin, kubelet = await world.start()
        await world.published()
        claim = await world.claim("c", FIRST)
        await world.reserve(claim)
        before = (await kubelet.prepare(claim))[_uid(claim)]
        await world.crash(plugin, kubelet)
        (plugin.records / f"{_uid(claim)}.json").write_text("")
        shutil.rmtree(plugin.cdi)
        world.api.unlisted.add("resourceclaims")

        plugin, kubelet = await world.start()
        assert "the right `list` on resourceclaims" in (await _told(world, Reason.CLAIMS_NOT_LISTED))[0]
        other = await world.claim("other", SECOND)
        assert (await kubelet.prepare(other))[_uid(other)].error == ""
        assert (await kubelet.prepare(claim))[_uid(claim)] == before
        await plugin.stop()

    tell(story)


async def _ready(port: int) -> bool:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)  # type: ignore[no-untyped-call]
        answer = await stub.Check(health_pb2.HealthCheckRequest(service="readiness"), timeout=10, wait_for_ready=True)
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def test_a_folder_that_cannot_be_read_is_waited_for() -> None:
    """It starts, registers and is not ready; each call has an error to try again; when it can be read all is served."""

    async def story(world: World) -> None:
        plugin, kubelet = await world.start()
        await world.published()
        claim, other = await world.claim("c", FIRST), await world.claim("other", SECOND)
        before = (await kubelet.prepare(claim))[_uid(claim)]
        await world.crash(plugin, kubelet)
        # What a folder is that the disk no longer gives; permissions would not stop root.
        aside = plugin.records.rename(plugin.records.with_name("away"))
        plugin.records.write_text("")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]

        plugin, kubelet = await world.start(f"--healthcheck-port={port}")
        for answers in (await kubelet.prepare(claim, other), await kubelet.unprepare(claim, other)):
            assert all("expected to know which claims this node has" in answer.error for answer in answers.values())
        assert "claim records" in (await _told(world, Reason.RECORDS_UNREADABLE))[0]
        await world.published()
        assert not await _ready(port)
        assert list(plugin.cdi.glob("*.json"))

        plugin.records.unlink()
        aside.rename(plugin.records)
        async with asyncio.timeout(20):
            while not await _ready(port):
                await asyncio.sleep(0.05)
        answers = await kubelet.prepare(claim, other)
        assert (answers[_uid(claim)], answers[_uid(other)].error) == (before, "")
        await plugin.stop()

    tell(story)

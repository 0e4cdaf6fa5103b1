"""Full disks, disks that refuse, huge batches, malformed claims and a clock that jumps, on the real process."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.edge.faketree import read_fleet, write_tree
from amdgpu_dra.testing.fakeapi.client import CLAIMS, allocation_of
from amdgpu_dra.testing.fakekernel import need_mounts
from amdgpu_dra.testing.fakekubelet import FakeKubelet, Plugin
from amdgpu_dra.testing.fakenode import NODE, World, tell

FIRST, SECOND, THIRD = "gpu-0000-05-00-0", "gpu-0000-26-00-0", "gpu-0000-46-00-0"
EVENTS = "/apis/events.k8s.io/v1/namespaces/default/events"
# Root passes every permission of files by two capabilities: without them it is as any owner.
_OBEYING = """
import ctypes, os, sys
for capability in (1, 2):
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
# The time of day of all Python code, moved by so many seconds as a file says.
_JUMPING = """
import datetime, runpy, sys, time
path, real = sys.argv[1], time.time
def now():
    with open(path) as file:
        return real() + float(file.read())
class Jumping(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(now(), tz)
time.time, time.time_ns, datetime.datetime = now, lambda: int(now() * 1e9), Jumping
sys.argv[:2] = ["plugin"]
runpy.run_module("amdgpu_dra.apps.kubelet_plugin", run_name="__main__", alter_sys=True)
"""


@dataclass
class Disk:
    """A small file system that a test fills, locks and takes permissions of."""

    path: Path

    def fill(self) -> None:
        """To the last byte."""
        with suppress(OSError), (self.path / "ballast").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    def free(self) -> None:
        """Takes the ballast away."""
        (self.path / "ballast").unlink()

    def lock(self) -> None:
        """Read-only."""
        subprocess.run(["mount", "-o", "remount,ro", self.path], check=True)

    def unlock(self) -> None:
        """Writable."""
        subprocess.run(["mount", "-o", "remount,rw", self.path], check=True)

    def forbid(self) -> None:
        """Nobody may write into any of its folders, its owner neither."""
        self._chmod(0o555)

    def permit(self) -> None:
        """Its owner may."""
        self._chmod(0o755)

    def _chmod(self, mode: int) -> None:
        for folder in (self.path, *(path for path in self.path.rglob("*") if path.is_dir())):
            folder.chmod(mode)


@contextmanager
def _disk(path: Path) -> Iterator[Disk]:
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=0755", "tmpfs", path], check=True)
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


FAULTS: list[tuple[Callable[[Disk], None], Callable[[Disk], None], str]] = [
    (Disk.fill, Disk.free, "No space left on device"),
    (Disk.lock, Disk.unlock, "Read-only file system"),
    (Disk.forbid, Disk.permit, "Permission denied"),
]


@asynccontextmanager
async def _plugin(world: World, wrapper: str, *arguments: str) -> AsyncIterator[tuple[Plugin, FakeKubelet]]:
    """A plugin that runs within a few lines of Python."""
    command = world.setting.command
    world.setting = replace(world.setting, command=[command[0], "-c", wrapper, *arguments])
    plugin, kubelet = await world.start("--rescan-interval=0.2", "--logging-format=json")
    try:
        yield plugin, kubelet
    finally:
        await plugin.stop()


def _uid(claim: dict[str, Any]) -> str:
    return str(claim["metadata"]["uid"])


def _files(plugin: Plugin) -> set[str]:
    """What there is of claims, finished or not."""
    return {path.name for folder in (plugin.records, plugin.cdi) for path in folder.iterdir()} - {"ballast"}


@pytest.mark.parametrize(
    ("folder", "where"), [("plugins", "claim records"), ("cdi", "CDI folder")], ids=["records", "cdi"]
)
def test_a_disk_that_refuses_fails_the_claim_and_nothing_is_lost(folder: str, where: str) -> None:
    """Full, read-only or forbidden: folder and fault are named, what is held stays, and afterwards the retry works."""
    need_mounts()

    async def story(world: World) -> None:
        with _disk(world.setting.work / folder) as disk:
            async with _plugin(world, _OBEYING, *world.setting.command[1:]) as (plugin, kubelet):
                await world.published()
                held, claim = await world.claim("held", SECOND), await world.claim("c", FIRST)
                before = (await kubelet.prepare(held))[_uid(held)]
                files = _files(plugin)
                for begin, end, fault in FAULTS:
                    if folder == "plugins" and begin is Disk.lock:
                        # Nobody can make it read-only while the plugin has its file of locks open; an error of the
                        # disk can, and disk_faults_test has that.
                        continue
                    begin(disk)
                    answers = await kubelet.prepare(held, claim)
                    assert answers[_uid(held)] == before
                    error = answers[_uid(claim)].error
                    assert error.startswith(f"{where} {disk.path}"), error
                    assert f"found {fault}" in error
                    assert not [name for name in _files(plugin) - files if name != f"{_uid(claim)}.intent"]
                    # On a full one there is room as soon as a record goes.
                    refused = folder == "plugins" and begin is not Disk.fill
                    await _check_unprepare(kubelet, claim, held, refused=refused)
                    end(disk)
                    assert (await kubelet.prepare(held))[_uid(held)] == before
                    assert (await kubelet.prepare(claim))[_uid(claim)].error == ""
                    assert len(_files(plugin)) == 4
                    assert (await kubelet.unprepare(claim))[_uid(claim)].error == ""
                    before = (await kubelet.prepare(held))[_uid(held)]
                    assert _files(plugin) == files
                await _check_events(world)

    tell(story, seconds=120)


async def _check_unprepare(kubelet: FakeKubelet, claim: dict[str, Any], held: dict[str, Any], *, refused: bool) -> None:
    """A claim of which there is nothing is a success on any disk; one that is held is not forgotten."""
    assert (await kubelet.unprepare({"metadata": {**claim["metadata"], "uid": "stranger"}}))["stranger"].error == ""
    if refused:
        assert "expected to remove a record" in (await kubelet.unprepare(held))[_uid(held)].error


async def _check_events(world: World) -> None:
    async with asyncio.timeout(20):
        while True:
            events = (await world.client.call("GET", EVENTS))["items"]
            found = {(event["reason"], event["regarding"]["name"]) for event in events}
            if ("PrepareFailed", "c") in found:
                return
            await asyncio.sleep(0.05)


def _memory(pid: int, name: str) -> int:
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(name)]
    return int(line.split()[1]) * 1024


async def _patient(call: Callable[..., Any], *claims: dict[str, Any]) -> dict[str, Any]:
    """As a kubelet, which asks again when its deadline has passed."""
    while True:
        try:
            found: dict[str, Any] = await call(*claims)
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.DEADLINE_EXCEEDED:
                raise
        else:
            return found


def test_a_thousand_claims_in_one_call() -> None:
    """Each has its answer, the same when it is repeated; memory grows by little, and the way back leaves nothing."""

    async def story(world: World) -> None:
        plugin, kubelet = await world.start()
        devices = [device["name"] for device in await world.devices()]
        allocations = [allocation_of(NODE, [("gpu", devices[i % 8])]) for i in range(1000)]
        for allocation in allocations:
            allocation["devices"]["results"][0]["adminAccess"] = True
        claims = [await _raw_claim(world, f"c{i}", allocation) for i, allocation in enumerate(allocations)]
        before = _memory(plugin.process.pid, "VmRSS")
        first = await _patient(kubelet.prepare, *claims)
        assert not [entry.error for entry in first.values() if entry.error]
        assert len({ident for entry in first.values() for ident in entry.devices[0].cdi_device_ids}) == 1000
        assert first == await _patient(kubelet.prepare, *claims)
        answers = await _patient(kubelet.unprepare, *claims)
        assert not [entry.error for entry in answers.values() if entry.error]
        assert _files(plugin) == set()
        assert _memory(plugin.process.pid, "VmHWM") - before < 32e6
        await plugin.stop()
        lines = [line for line in plugin.log.read_text().splitlines() if "method=" in line]
        assert all("count=1000" in line and "and 992 more" in line and len(line) < 3000 for line in lines)

    tell(story, seconds=300)


async def _raw_claim(world: World, name: str, allocation: object, **status: object) -> dict[str, Any]:
    """A claim whose status nobody has checked."""
    path = CLAIMS.format(namespace="default")
    body = {"metadata": {"name": name}, "spec": {}, "status": {"allocation": allocation, **status}}
    claim: dict[str, Any] = await world.client.call("POST", path, body)
    return claim


def _with(result: object = None, config: object = None) -> dict[str, Any]:
    good = {"request": "gpu", "driver": "gpu.amd.com", "pool": NODE, "device": FIRST}
    results = [good | result] if isinstance(result, dict) else [good] if result is None else result
    return {"devices": {"results": results, "config": config}}


def _gpu_config(parameters: object) -> list[dict[str, Any]]:
    return [{"source": "FromClaim", "requests": [], "opaque": {"driver": "gpu.amd.com", "parameters": parameters}}]


_OURS = {"apiVersion": "gpu.resource.amd.com/v1alpha1", "kind": "GpuConfig"}
MALFORMED: dict[str, tuple[object, str]] = {
    "no-pool": (_with({"pool": None}), "results[0].pool: expected a name"),
    "other-pool": (_with({"pool": "another"}), "found driver gpu.amd.com in pool another"),
    "other-driver": (_with({"driver": "nic.example.com"}), "found driver nic.example.com in pool n1"),
    "unknown-device": (_with({"device": "gpu-9"}), "expected device gpu-9 on this node, found gpu-0000-05-00-0"),
    "huge-device": (_with({"device": "x" * 500_000}), "results[0].device: expected a name of 1 to 253 characters"),
    "half-request": (_with({"request": "gpu/"}), "results[0].request: expected name or name/subrequest"),
    "number-for-share": (_with({"shareID": 5}), "results[0].shareID: expected a text, found 5"),
    "no-list": (_with("gpu"), "results: expected a list, found 'gpu'"),
    "no-results": (_with([]), "in status.allocation.devices.results, found no device at all"),
    "no-allocation": (None, "expected an allocation in its status, found none"),
    "text-for-allocation": ("gpu", "status.allocation: expected an object, found 'gpu'"),
    "twice": (_with(_with()["devices"]["results"] * 2), "once in status.allocation.devices.results"),
    "unknown-field": (_with(config=_gpu_config({**_OURS, "sharing": 1})), "parameters.sharing: unknown field"),
    "wrong-type": (_with(config=_gpu_config({**_OURS, "kind": 7})), "parameters.kind: expected 'GpuConfig', found 7"),
    "no-object": (_with(config=_gpu_config("x")), "config[0].opaque.parameters: expected an object, found 'x'"),
    "half-config": (_with(config=[{"requests": "gpu"}]), "config[0].requests: expected a list, found 'gpu'"),
}


def test_malformed_claims_say_what_and_where_and_harm_no_other() -> None:
    """All in one call with a good one: each has its own error with the field's path, and none leaves anything."""

    async def story(world: World) -> None:
        plugin, kubelet = await world.start()
        await world.published()
        pod = {"resource": "pods", "name": "p", "uid": "1"}
        claims = {name: await _raw_claim(world, name, item, reservedFor=[pod]) for name, (item, _) in MALFORMED.items()}
        good = await _raw_claim(world, "good", _with({"request": "gpu/small", "consumedCapacity": {"memory": "1"}}))
        answers = await kubelet.prepare(*claims.values(), good)
        for name, (_, fault) in MALFORMED.items():
            error = answers[_uid(claims[name])].error
            assert error.startswith(f"claim default/{name}: expected "), error
            assert fault in error, name
            assert "internal error" not in error
            assert len(error) < 1000
        assert answers[_uid(good)].error == ""
        assert list(answers[_uid(good)].devices[0].request_names) == ["gpu"]
        assert len(_files(plugin)) == 2
        async with asyncio.timeout(20):
            while not await _told(world, "Pod", "p"):
                await asyncio.sleep(0.05)
        assert await _told(world, "ResourceClaim", "no-pool") == {"PrepareRefused"}
        await plugin.stop()
        assert "Traceback" not in plugin.log.read_text()

    tell(story)


async def _told(world: World, kind: str, name: str) -> set[str]:
    """The reasons of Events beside an object."""
    events = (await world.client.call("GET", EVENTS))["items"]
    return {item["reason"] for item in events if (item["regarding"]["kind"], item["regarding"]["name"]) == (kind, name)}


def test_a_clock_that_jumps_changes_nothing() -> None:
    """Ten years back and ten forth between calls: the same answers, the same files, health as before, changes seen."""

    async def story(world: World) -> None:
        clock = world.setting.work / "clock"
        clock.write_text("0")
        async with _plugin(world, _JUMPING, str(clock)) as (plugin, kubelet):
            await world.published()
            held = await world.claim("held", FIRST)
            first = (await kubelet.prepare(held))[_uid(held)]
            files = _files(plugin)
            contents = {path: path.read_bytes() for path in (*plugin.records.iterdir(), *plugin.cdi.iterdir())}
            for jump, goes in ((-3e8, SECOND), (6e8, THIRD)):
                # In one go: the plugin reads it at any time.
                clock.with_suffix(".next").write_text(str(jump))
                clock.with_suffix(".next").rename(clock)
                assert first == (await kubelet.prepare(held))[_uid(held)]
                assert {path: path.read_bytes() for path in contents} == contents
                other = await world.claim(f"other{jump:.0f}", goes)
                assert (await kubelet.prepare(other))[_uid(other)].error == ""
                assert (await kubelet.unprepare(other))[_uid(other)].error == ""
                assert _files(plugin) == files
                await _check_health(kubelet)
            fleet = read_fleet("mi300x-8-spx")
            write_tree(render(replace(fleet, gpus=fleet.gpus[1:])), world.setting.tree, nodes=False)
            async with asyncio.timeout(20):
                while len(await world.devices()) != 7:
                    await asyncio.sleep(0.02)
        years = {json.loads(line)["ts"][:4] for line in plugin.log.read_text().splitlines()}
        assert len(years) == 3, "the clock did not jump"

    tell(story)


async def _check_health(kubelet: FakeKubelet) -> None:
    """A report at once, and everything healthy."""
    reports = kubelet.watch()
    try:
        assert {item.health for item in (await anext(reports)).values()} == {1}
    finally:
        await reports.aclose()

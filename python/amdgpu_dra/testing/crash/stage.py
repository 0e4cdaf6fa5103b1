"""`Stage`: a node with a plugin that can be traced, and all that can be seen of it from outside."""

import asyncio
import json
import re
import shutil
import signal
import stat
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path as File
from typing import Any

from amdgpu_dra.api.checkpoint import decode_record
from amdgpu_dra.testing.fakeapi.client import SLICES
from amdgpu_dra.testing.fakekubelet import FakeKubelet, Plugin, resolve, start_plugin
from amdgpu_dra.testing.fakenode import DRIVER, World

# Counts starts and changes, of which there are more with a crash.
_COUNTED = "instances"
_FOLDERS = ("plugins", "cdi", "registry")
# Longer than any of this takes, on a busy machine too.
_PATIENCE = 30
type Step = Callable[["Stage"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of a path that the kubelet's side begins, and begins again after a crash.

    Attributes:
        killed_in: whether this phase is what the path is about; others are killed in on a long run alone.
        spared: how effects begin that a phase of another path has as well; the same.
    """

    name: str
    step: Step
    killed_in: bool = True
    spared: tuple[str, ...] = ()

    def is_of_interest(self, effect: str) -> bool:
        """Whether a short run kills at this effect."""
        return self.killed_in and not effect.startswith(self.spared)


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """A story of phases; the first starts the plugin, the last stops it.

    Attributes:
        before: makes what the plugin finds at its start; it does not run yet. None for a node where none has run.
        dynamic: on a fake kernel, whose modes are switched.
    """

    name: str
    fleet: str
    phases: tuple[Phase, ...]
    before: Step | None = None
    dynamic: bool = False
    flags: tuple[str, ...] = ()


@dataclass
class Stage:
    """One run of a path.

    Attributes:
        claims: those that the story has made, by name.
        kept: those of them that it begins with.
        names: UID -> name, also of claims that are gone.
    """

    world: World
    path: Path
    command: list[str]
    plugin: Plugin | None = None
    kubelet: FakeKubelet | None = None
    claims: dict[str, dict[str, Any]] = field(default_factory=dict)
    kept: dict[str, dict[str, Any]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    @property
    def work(self) -> File:
        """Where the plugin's folders are."""
        return self.world.setting.work

    @property
    def records(self) -> File:
        """Where records of claims are."""
        return self.work / "plugins" / DRIVER / "claims"

    @property
    def cdi(self) -> File:
        """Where documents are."""
        return self.work / "cdi"

    async def launch(self) -> None:
        """Starts a plugin that is traced, in place of one that has ended, and does not wait for it."""
        setting = self.world.setting
        log = self.work / "plugin.log"
        tracer = [setting.command[0], "-m", "amdgpu_dra.testing.systrace", self.work / "trace", self.work, log]
        command = [*map(str, tracer), *self.command]
        self.plugin = await start_plugin(replace(setting, command=command), *self.path.flags)

    async def join(self) -> None:
        """Returns when the kubelet has registered the plugin and its slices are published."""
        if self.kubelet is not None:
            await self.kubelet.close()
        self.kubelet = FakeKubelet(self.work / "registry")
        await self.kubelet.register(DRIVER)
        # Connected from here on, and not only with the first claim.
        await self.kubelet.prepare()
        await self.world.published()

    async def claim(self, name: str, *devices: str) -> dict[str, Any]:
        """A claim of the story, made once, and reserved for a pod."""
        if name not in self.claims:
            claim = await self.world.claim(name, *devices)
            claim["status"]["reservedFor"] = [{"resource": "pods", "name": name, "uid": name}]
            where = f"/apis/resource.k8s.io/v1/namespaces/default/resourceclaims/{name}/status"
            self.claims[name] = await self.world.client.call("PUT", where, claim)
            self.names[claim["metadata"]["uid"]] = name
        return self.claims[name]

    async def prepare(self, name: str, *devices: str) -> None:
        """What the kubelet does for a pod, and the runtime after it: it has to succeed."""
        claim = await self.claim(name, *devices)
        error, ids = await self._ask("prepare", claim)
        assert error == "", error
        wanted = {result["device"] for result in claim["status"]["allocation"]["devices"]["results"]}
        assert len(ids) == len(wanted)
        resolve(self.cdi, ids)

    async def unprepare(self, name: str) -> None:
        """What the kubelet does when a pod is gone."""
        error, _ = await self._ask("unprepare", self.claims[name])
        assert error == "", error

    async def _ask(self, verb: str, claim: dict[str, Any]) -> tuple[str, list[str]]:
        assert self.kubelet is not None
        call = self.kubelet.prepare if verb == "prepare" else self.kubelet.unprepare
        answer: Any = (await call(claim))[claim["metadata"]["uid"]]
        if verb == "unprepare":
            return str(answer.error), []
        return str(answer.error), [ident for device in answer.devices for ident in device.cdi_device_ids]

    async def contest(self) -> None:
        """Another claim for the devices of each claim: whatever was killed when, one of both has them and never two."""
        for name, claim in list(self.claims.items()):
            devices = [result["device"] for result in claim["status"]["allocation"]["devices"]["results"]]
            rival = await self.claim(f"{name}-rival", *devices)
            error, _ = await self._ask("prepare", rival)
            if not error:
                error, _ = await self._ask("prepare", claim)
            assert f"prepared for claim default/{name}" in error, f"{name} and its rival: {error!r}"
            await self.unprepare(f"{name}-rival")
            await self.drop(f"{name}-rival")

    async def drop(self, name: str) -> None:
        """The claim is gone from the API server."""
        del self.claims[name]
        await self.world.client.drop_claim(name)

    async def seen(self) -> dict[str, Any]:
        """Everything that a crash must not change: files and their bytes, modes, slices; in words of every run."""
        found: dict[str, Any] = {}
        for folder in _FOLDERS:
            for path in sorted((self.work / folder).rglob("*")):
                found[self._said(str(path.relative_to(self.work)))] = self._what(path)
        found["slices"] = [_spec(item) for item in await self.world.client.slices()]
        if self.path.dynamic:
            state: dict[str, Any] = await asyncio.to_thread(self.world.kernel.state)
            found["modes"] = {gpu["address"]: gpu["compute"] for gpu in state["gpus"]}
        return found

    def _what(self, path: File) -> str:
        try:
            mode = path.lstat().st_mode
            if path.name == _COUNTED:
                return f"{path.stat().st_size} bytes"
            return self._said(path.read_text(encoding="utf-8")) if stat.S_ISREG(mode) else stat.filemode(mode)
        except FileNotFoundError:
            return "gone"

    def _said(self, text: str) -> str:
        for uid, name in self.names.items():
            text = text.replace(uid, name)
        # The sum over bytes that hold a UID.
        return re.sub(r"\n[0-9a-f]{64}\n", "\nSUM\n", text).replace(f"{self.work}", "WORK")

    def check_records(self) -> None:
        """At any time, also with the plugin dead: records and intents are whole, and no device is in those of two."""
        held: dict[str, str] = {}
        for path in [*self.records.glob("*.json"), *self.records.glob("*.intent")]:
            data, found = path.read_bytes(), self.work / "kept" / path.relative_to(self.work)
            if found.exists() and found.read_bytes() == data:
                # Not of this run: it may be what the story has torn.
                continue
            record = decode_record(data)
            for device in record.devices:
                other = held.setdefault(device.device, record.name)
                assert other == record.name, f"{device.device} is held by {record.name} and {other}"

    async def kill(self) -> None:
        """Ends the plugin and the connection to it, whatever they are at."""
        if self.kubelet is not None:
            await self.kubelet.close()
            self.kubelet = None
        if self.plugin is not None and self.plugin.process.returncode is None:
            await self.plugin.stop(signal.SIGKILL, seconds=_PATIENCE)

    async def forget(self) -> None:
        """Takes the story's claims from the API server, but for those that it began with."""
        for name in set(self.claims) - set(self.kept):
            await self.drop(name)

    async def keep(self) -> None:
        """What is there now is what every run of this path begins with.

        But for slices, which the kubelet has wiped, and sockets, which a copy would not have: those of a killed plugin
        are swept by the next one in the other paths.
        """
        await self._wipe_slices()
        for folder in _FOLDERS:
            for path in (self.work / folder).rglob("*.sock"):
                path.unlink()
        self.kept = dict(self.claims)
        for folder in _FOLDERS:
            if (self.work / folder).exists():
                shutil.copytree(self.work / folder, self.work / "kept" / folder, ignore=_sockets)

    def find(self, other: "Stage") -> None:
        """Puts there what another stage has kept."""
        self.kept, self.claims, self.names = other.kept, dict(other.kept), dict(other.names)
        for folder in (self.work / "kept").glob("*"):
            shutil.copytree(folder, self.work / folder.name)

    async def clear(self) -> None:
        """Leaves the node as before the story."""
        await self.kill()
        for folder in _FOLDERS:
            shutil.rmtree(self.work / folder, ignore_errors=True)
        await self.forget()
        await self._wipe_slices()

    async def _wipe_slices(self) -> None:
        for item in await self.world.client.slices():
            await self.world.client.call("DELETE", f"{SLICES}/{item['metadata']['name']}")


def _sockets(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if stat.S_ISSOCK((File(folder) / name).lstat().st_mode)]


def _spec(item: dict[str, Any]) -> Any:
    spec = json.loads(json.dumps(item["spec"]))
    del spec["pool"]["generation"]
    return spec

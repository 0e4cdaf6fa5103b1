"""The paths of a claim on which the plugin is killed."""

import asyncio
import hashlib
import json
from pathlib import Path as File

from amdgpu_dra.testing.crash.stage import Path, Phase, Stage
from amdgpu_dra.testing.fakenode import DYNAMIC_FLAGS

FIRST, SECOND, THIRD, FOURTH = (f"gpu-0000-{bus}-00-0" for bus in ("05", "26", "46", "65"))
_PATIENCE = 30
# What every start does with folders and sockets, which is killed at on the path of a life.
_STARTING = ("mkdir", "sync /", "bind", "listen", "connect", "accept", "answer", "shutdown")
_FLEET = "mi300x-8-spx"


async def _start(stage: Stage) -> None:
    await stage.join()


async def _stop(stage: Stage) -> None:
    assert stage.plugin is not None
    status = await stage.plugin.stop()
    assert status == 0, f"the plugin ended with {status}"


async def _hold(stage: Stage) -> None:
    await stage.prepare("held", FIRST)


async def _prepare(stage: Stage) -> None:
    await stage.prepare("work", SECOND, THIRD)


async def _heal(stage: Stage) -> None:
    """A repeat, as after a reboot that emptied the folder of documents; once per start, since it is told once."""
    for path in stage.cdi.glob(f"*{stage.claims['work']['metadata']['uid']}*"):
        path.unlink()
    await _prepare(stage)


async def _unprepare(stage: Stage) -> None:
    await stage.unprepare("work")


async def _release(stage: Stage) -> None:
    """Everything that the story still holds."""
    for name in stage.claims:
        await stage.unprepare(name)


_STOP = (Phase("release", _release, killed_in=False), Phase("stop", _stop, killed_in=False))
LIFE = Path(
    name="life",
    fleet=_FLEET,
    phases=(
        Phase("start", _start),
        Phase("hold", _hold, killed_in=False),
        Phase("prepare", _prepare),
        Phase("repeat", _prepare),
        Phase("heal", _heal),
        Phase("unprepare", _unprepare),
        Phase("release", _release, killed_in=False),
        Phase("stop", _stop),
    ),
)


async def _wreck(stage: Stage) -> None:
    """What years of bad luck leave: of each claim something else is wrong."""
    await stage.launch()
    await stage.join()
    devices = {"lost": FIRST, "bare": SECOND, "gone": THIRD, "torn": FOURTH}
    for name, device in devices.items():
        await stage.prepare(name, device)
    await stage.kill()
    uid = {name: stage.claims[name]["metadata"]["uid"] for name in devices}
    for path in stage.cdi.glob(f"*{uid['lost']}*"):
        path.unlink()
    (stage.records / f"{uid['bare']}.json").unlink()
    await stage.drop("gone")
    torn = stage.records / f"{uid['torn']}.json"
    torn.write_bytes(torn.read_bytes()[:20])
    (stage.records / ".half.json.tmp").write_bytes(b"half")
    (stage.cdi / ".k8s.gpu.amd.com-gpu_half.json.tmp").write_bytes(b"half")


async def _repair(stage: Stage) -> None:
    """Returns when all is whole: each of the three claims that are left has a record and a document."""
    await stage.join()
    uids = {stage.claims[name]["metadata"]["uid"] for name in ("lost", "bare", "torn")}
    async with asyncio.timeout(_PATIENCE):
        while {path.stem for path in stage.records.glob("*.json")} != uids or len([*stage.cdi.glob("*.json")]) != 3:
            await asyncio.sleep(0.01)


REPAIR = Path(name="repair", fleet=_FLEET, before=_wreck, phases=(Phase("repair", _repair, spared=_STARTING), *_STOP))


def _old_record(stage: Stage, name: str, device: str) -> bytes:
    """As version 0.1.0 wrote it: spelt out here, since what writes records today may change."""
    body = {
        "boot_id": "of an earlier boot",
        "devices": [
            {
                "admin_access": False,
                "device": device,
                "pool": stage.world.setting.node,
                "request": "gpu",
                "share_id": None,
                "unique_id": None,
            }
        ],
        "name": name,
        "namespace": "default",
        "state": "Ready",
        "uid": stage.claims[name]["metadata"]["uid"],
        "version": 1,
    }
    data = json.dumps(body, separators=(",", ":"), sort_keys=True).encode()
    return data + b"\n" + hashlib.sha256(data).hexdigest().encode() + b"\n"


async def _downgrade(stage: Stage) -> None:
    stage.records.mkdir(parents=True)
    for name, device in (("old", FIRST), ("work", SECOND)):
        claim = await stage.claim(name, device)
        (stage.records / f"{claim['metadata']['uid']}.json").write_bytes(_old_record(stage, name, device))


async def _take_over(stage: Stage) -> None:
    await stage.prepare("old", FIRST)


async def _add(stage: Stage) -> None:
    await stage.prepare("new", THIRD)


UPGRADE = Path(
    name="upgrade",
    fleet=_FLEET,
    before=_downgrade,
    phases=(
        Phase("upgrade", _start, spared=_STARTING),
        Phase("take over", _take_over),
        Phase("add", _add, killed_in=False),
        Phase("unprepare", _unprepare),
        *_STOP,
    ),
)


async def _one(stage: Stage) -> None:
    await stage.prepare("one", f"{FIRST}-cpx-1")


async def _two(stage: Stage) -> None:
    await stage.prepare("two", f"{FIRST}-cpx-6")


async def _drop_one(stage: Stage) -> None:
    await stage.unprepare("one")


async def _drop_two(stage: Stage) -> None:
    """The last claim of the GPU: it goes back to its idle mode."""
    await stage.unprepare("two")


SWITCH = Path(
    name="switch",
    fleet=str(File(__file__).with_name("one-gpu.yaml")),
    dynamic=True,
    flags=(*DYNAMIC_FLAGS, "--idle-mode=SPX"),
    phases=(
        Phase("start", _start, killed_in=False),
        Phase("switch", _one),
        Phase("join", _two, killed_in=False),
        Phase("drop one", _drop_one, killed_in=False),
        Phase("rest", _drop_two),
        *_STOP,
    ),
)

PATHS = {path.name: path for path in (LIFE, REPAIR, UPGRADE, SWITCH)}

"""A traced process: its effects are seen in order, and it can be ended on either side of each."""

import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from amdgpu_dra.testing.systrace import AFTER, BEFORE, MACHINE, Control, Order, Point

pytestmark = pytest.mark.skipif(
    platform.machine() != MACHINE,
    reason=f"system calls are known by number: run on {MACHINE}, this is {platform.machine()}",
)

_PROGRAM = """
import os, socket, threading
os.chdir({work!r})
def on_disk():
    os.makedirs("a/b", exist_ok=True)
    os.makedirs("a/b", exist_ok=True)
    handle = os.open("a/new", os.O_CREAT | os.O_WRONLY)
    os.write(handle, b"x")
    os.fsync(handle)
    os.close(handle)
    os.rename("a/new", "a/old")
    open("a/old").read()
    os.unlink("a/old")
thread = threading.Thread(target=on_disk)
thread.start()
thread.join()
server = socket.socket(socket.AF_UNIX)
server.bind("s")
server.listen()
client = socket.socket(socket.AF_UNIX)
client.connect("s")
here, _ = server.accept()
here.send(bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
here.send(bytes([0, 0, 1, 1, 0, 0, 0, 0, 1, 7]))
web = socket.create_server(("127.0.0.1", 0))
asks = socket.create_connection(web.getsockname())
asks.send(b"GET /x HTTP/1.1\\r\\n\\r\\n")
asks.send(b"POST /claims/0b2f6ab5-9d27-4f8e-a5b1-1f0d3a1c2b3d HTTP/1.1\\r\\n\\r\\n")
asks.send(b"body")
"""
_EFFECTS = [
    ("mkdir a", 0),
    ("mkdir a/b", 0),
    ("mkdir a/b", -17),
    ("open a/new", 4),
    ("write a/new", 1),
    ("sync a/new", 0),
    ("rename a/new -> a/old", 0),
    ("unlink a/old", 0),
    ("bind s", 0),
    ("listen s", 0),
    ("connect s", 0),
    ("accept s", 0),
    ("answer s", 10),
    ("bind tcp", 0),
    ("listen tcp", 0),
    ("connect tcp", 0),
    ("http POST /claims/UID", 0),
    ("http POST /claims/UID, more", 4),
]
# Of these the number that the call gives back is of no matter.
_NUMBERED = ("open", "accept", "http POST /claims/UID")


def _run(folder: Path, order: Order) -> tuple[int, Control]:
    work, told = folder / "work", folder / "told"
    work.mkdir()
    told.mkdir()
    control = Control(told)
    control.give(order)
    tracer = [sys.executable, "-m", "amdgpu_dra.testing.systrace", str(told), str(work), str(folder / "log")]
    program = [sys.executable, "-c", _PROGRAM.format(work=str(work))]
    environment = {"PYTHONPATH": ":".join(filter(None, sys.path)), "PATH": "/usr/bin:/bin"}
    return subprocess.run([*tracer, *program], env=environment, check=False, timeout=60).returncode, control


def test_every_effect_is_seen_and_nothing_else(tmp_path: Path) -> None:
    """Of every thread, with its outcome, in words without this run's folder and UIDs; reads are none, nor are pings."""
    status, control = _run(tmp_path, Order(phase="p"))
    seen = [(one.point.effect, one.outcome) for one in control.read()]

    assert status == 0
    assert [effect for effect, _ in _EFFECTS] == [effect for effect, _ in seen]
    for (effect, expected), (_, found) in zip(_EFFECTS, seen, strict=True):
        assert found == expected or (effect.startswith(_NUMBERED) and found > 0)
    assert [one.point.count for one in control.read() if one.point.effect == "mkdir a/b"] == [1, 2]


@pytest.mark.parametrize("side", [BEFORE, AFTER])
@pytest.mark.parametrize(
    ("effect", "path"),
    [("mkdir a/b", "a/b"), ("rename a/new -> a/old", "a/old"), ("bind s", "s"), ("open a/new", "a/new")],
)
def test_it_is_killed_on_either_side(tmp_path: Path, effect: str, path: str, side: str) -> None:
    """Before: the call has done nothing. After: it has, and nothing follows."""
    point = Point(phase="p", effect=effect, count=1)
    status, control = _run(tmp_path, Order(phase="p", kill=point, side=side))
    last = control.read()[-1]

    assert (status, last.point, last.killed) == (-signal.SIGKILL, point, side)
    assert (tmp_path / "work" / path).exists() == (side == AFTER)


def test_another_phase_counts_anew(tmp_path: Path) -> None:
    """A point of another phase is not met."""
    point = Point(phase="later", effect="mkdir a", count=1)

    assert _run(tmp_path, Order(phase="p", kill=point))[0] == 0


def test_signals_reach_the_process(tmp_path: Path) -> None:
    """Who ends the tracer ends what it traces, with the same status."""
    control = Control(tmp_path)
    control.give(Order(phase="p"))
    program = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); print('up', flush=True); "
    program += "signal.pause()"
    command = [sys.executable, "-m", "amdgpu_dra.testing.systrace", str(tmp_path), "/x", "/x", sys.executable, "-c"]
    environment = {"PYTHONPATH": ":".join(filter(None, sys.path)), "PATH": "/usr/bin:/bin"}
    with subprocess.Popen([*command, program], env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 7

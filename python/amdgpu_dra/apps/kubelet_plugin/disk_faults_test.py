"""Every call of the operating system that a claim's files need fails once, with every error that disks have.

The agent and the real files below it, in one process: what is found is checked against what is on the disk.
"""

import asyncio
import builtins
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from errno import EACCES, EDQUOT, EIO, EMFILE, ENOSPC, EROFS
from pathlib import Path
from typing import Any

import pytest

from amdgpu_dra.agent.claims import ClaimManager, ClaimRef, Paths, Survey, Switcher, World
from amdgpu_dra.api.resource import Claim, DeviceResult
from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.core.gpu import Inventory, parse
from amdgpu_dra.edge.disk import CdiDirectory, RecordFiles
from amdgpu_dra.edge.faketree import read_fleet
from amdgpu_dra.testing.fakes import FakeClaims, FakeClock, FakeEvents, FakeGpus, FakeInstances, FakeNodes, FakeTree

INVENTORY = parse(render(read_fleet("mi300x-8-spx")))
DEVICES = {"held": "gpu-0000-05-00-0", "c": "gpu-0000-26-00-0"}
# What edge/disk calls of `os`; files are read by the built-in `open`.
CALLS = ("open", "write", "fsync", "rename", "unlink", "close", "listdir", "makedirs")


@dataclass
class Faults:
    """Counts the calls that concern a folder, and lets one of them fail."""

    fails_at: int | None = None
    code: int = EIO
    count: int = 0
    failed: str = ""
    _real: dict[str, Callable[..., Any]] = field(default_factory=dict)

    def _wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self.count += 1
            if self.count - 1 == self.fails_at:
                self.failed = name
                if name == "close":
                    # The kernel has closed it all the same.
                    real(*arguments, **options)
                raise OSError(self.code, os.strerror(self.code))
            return real(*arguments, **options)

        return call

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """For as long as the context lasts."""
        patch = pytest.MonkeyPatch()
        for name in CALLS:
            patch.setattr(os, name, self._wrap(name, getattr(os, name)))
        patch.setattr(builtins, "open", self._wrap("read", open))
        try:
            yield
        finally:
            patch.undo()


class Node:
    """A node whose claims lie in a real folder; `held` is prepared."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.claims = FakeClaims()
        for uid, device in DEVICES.items():
            result = DeviceResult(request="r", driver="gpu.amd.com", pool="n", device=device)
            self.claims.add(Claim(namespace="ns", name=uid, uid=uid, results=(result,)))
        self.start()
        assert self.call("prepare", "held") == ""

    def start(self) -> None:
        """A new process on what the old one left."""
        clock, instances = FakeClock(), FakeInstances()
        survey = Survey(FakeTree(INVENTORY), instances)
        self.manager = ClaimManager(
            Paths(node="n", dev_root="/dev", boot_id="b"),
            World(
                api=self.claims,
                nodes=FakeNodes(),
                store=RecordFiles(str(self.folder / "claims")),
                cdi=CdiDirectory(str(self.folder / "cdi")),
                clock=clock,
                instances=instances,
            ),
            survey,
            Switcher(survey, FakeGpus(lambda _: Inventory()), clock, FakeEvents()),
        )
        self.manager.load()

    def call(self, verb: str, uid: str) -> str:
        """The error of a call, or nothing."""
        call = self.manager.prepare if verb == "prepare" else self.manager.unprepare
        return asyncio.run(call([ClaimRef(uid, "ns", uid)]))[uid].error

    def files(self) -> dict[str, bytes]:
        """All there is, by name."""
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in self.folder.glob("*/*")}


def _walk(folder: Path, verb: str, code: int, *, prepared: bool) -> Iterator[tuple[Node, Faults, str]]:
    """A node for each call of the way, after the one that failed; the last is one that nothing happened to."""
    for number in range(100):
        node = Node(folder / str(number))
        if prepared:
            assert node.call("prepare", "c") == ""
        faults = Faults(fails_at=number, code=code)
        with faults.at_work():
            error = node.call(verb, "c")
        yield node, faults, error
        if not faults.failed:
            return
    raise AssertionError("a call of the kubelet makes a hundred calls of files")


_WRITE = {"open", "write", "fsync", "close", "rename"}
# The calls that failed, with one walk to the end in which none did.
POINTS = {
    ("prepare", False): {"", "read", "makedirs", "unlink", *_WRITE},
    ("prepare", True): {"", "read"},
    ("unprepare", True): {"", "unlink", *_WRITE},
}
WAYS = [("prepare", False), ("prepare", True), ("unprepare", True)]


@pytest.mark.parametrize("code", [EIO, ENOSPC, EDQUOT, EROFS, EACCES, EMFILE], ids=os.strerror)
@pytest.mark.parametrize(("verb", "prepared"), WAYS, ids=["prepare", "repeat", "unprepare"])
def test_any_call_may_fail(tmp_path: Path, verb: str, code: int, *, prepared: bool) -> None:
    """The error says folder and fault, nothing half written is left, and the retry ends as if nothing had been."""
    ends, points = [], set[str]()
    for node, faults, error in _walk(tmp_path, verb, code, prepared=prepared):
        points.add(faults.failed)
        if error:
            assert faults.failed
            assert str(node.folder) in error
            assert os.strerror(code) in error
            assert "internal error" not in error
        left = node.files()
        assert not [name for name in left if name.endswith(".tmp") and faults.failed != "unlink"], faults.failed
        assert {name for name in left if "held" in name} == {"claims/held.json", "cdi/k8s.gpu.amd.com-gpu_held.json"}
        node.start()
        assert node.call("prepare", "held") == ""
        assert node.call(verb, "c") == ""
        ends.append(node.files())

    assert ends == [ends[-1]] * len(ends)
    assert points == POINTS[verb, prepared]


@pytest.mark.parametrize("code", [EIO, ENOSPC], ids=os.strerror)
@pytest.mark.parametrize(("verb", "prepared"), WAYS, ids=["prepare", "repeat", "unprepare"])
def test_the_same_process_recovers(tmp_path: Path, verb: str, code: int, *, prepared: bool) -> None:
    """Without a restart: the retry succeeds, the device is held by who has it, and a rival gets it only afterwards."""
    for node, _, _ in _walk(tmp_path, verb, code, prepared=prepared):
        assert node.call(verb, "c") == ""
        result = DeviceResult(request="r", driver="gpu.amd.com", pool="n", device=DEVICES["c"])
        node.claims.add(Claim(namespace="ns", name="rival", uid="rival", results=(result,)))
        refused = "prepared for claim ns/c" in node.call("prepare", "rival")
        assert refused == (verb == "prepare")
        assert node.call("unprepare", "c") == ""
        assert node.call("prepare", "rival") == ""

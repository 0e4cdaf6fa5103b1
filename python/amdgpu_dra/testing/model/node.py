"""`Node`: a process of the plugin, everything around it, and what must hold of both at any moment."""

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

from amdgpu_dra.agent.claims import Answer
from amdgpu_dra.api.checkpoint import CorruptRecordError, Record, State, decode_record
from amdgpu_dra.api.errors import DriverError
from amdgpu_dra.core.gpu import PciAddress
from amdgpu_dra.testing.model.clock import VirtualClock
from amdgpu_dra.testing.model.disk import Disk
from amdgpu_dra.testing.model.kernel import Hardware
from amdgpu_dra.testing.model.kubelet import Call, Story, exclude, gpu_and_mode
from amdgpu_dra.testing.model.loop import StepLoop
from amdgpu_dra.testing.model.process import Process, Surroundings, options_of
from amdgpu_dra.testing.model.server import Server

# The Go library for CDI crashes on a class of one letter: it is another driver's, and it stays as it is.
FOREIGN = ("vendor.example.org-x.json", b'{"cdiVersion":"0.5.0","kind":"vendor.example.org/x","devices":[]}')
# A field that a newer driver of the same version adds to records.
ADDED = "addedLater"
_PATIENCE = 50_000


class Node:
    """Everything that the rules act on.

    Attributes:
        stories: every claim that there ever was, by UID.
        counts: what was done, for whoever runs it for long.
    """

    def __init__(self, folder: Path, *, idle_mode: str = "", per_gpu: bool = True) -> None:
        self.loop = StepLoop()
        self.clock = VirtualClock(self.loop)
        self.hardware = Hardware(self.loop, per_gpu=per_gpu)
        self.hardware.writes = self._check_write
        self.server = Server()
        self.disk = Disk(folder)
        self.idle_mode = idle_mode
        self.boot = 0
        self.stories: dict[str, Story] = {}
        self.counts: Counter[str] = Counter()
        self.process: Process | None = None
        # What must hold is also looked at within tasks of the plugin, which would take an error for their own.
        self._broken: list[BaseException] = []
        self.loop.set_exception_handler(self._note_error)
        self.disk.cdi.mkdir()
        (self.disk.cdi / FOREIGN[0]).write_bytes(FOREIGN[1])
        self.start()

    def _note_error(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # Of a callback; what else is told here is of tasks that died with their process.
        if "handle" in context and "exception" in context:
            self._broken.append(context["exception"])

    # The process.

    def start(self) -> None:
        """A new process, if there is none."""
        if self.process is None:
            self.counts["starts"] += 1
            around = Surroundings(
                loop=self.loop, clock=self.clock, hardware=self.hardware, server=self.server, disk=self.disk
            )
            self.process = Process(around, options_of(self.idle_mode), f"boot-{self.boot}")
            self.note_end()

    def kill(self, *, half: bool = False) -> None:
        """SIGKILL wherever it stands; `half`: in the middle of a write."""
        if self.process is not None:
            self.counts["kills"] += 1
            self.disk.half = half
            self.process.kill()
            self.process = None

    def stop(self) -> None:
        """SIGTERM, and time for what is under way."""
        if self.process is not None:
            self.process.stop()
            self.settle(25)
            assert self.process is None, "it does not end"

    def note_end(self) -> None:
        """A process may give up at its start if the disk is not well. It may end in no other way than by a signal."""
        if self.process is None or self.process.ended is None:
            return
        process, ended, self.process = self.process, self.process.ended, None
        self.loop.kill(ended)
        process.leave()
        if not isinstance(ended, SystemExit) and not (isinstance(ended, DriverError) and self.disk.fault is not None):
            raise ended

    def reboot(self, *, major: int, turned: bool) -> None:
        """The power goes: processes, CDI folder, modes and numbers with it."""
        self.kill()
        self.finish_switches()
        self.hardware.restart("reboot", major=major, turned=turned)
        shutil.rmtree(self.disk.cdi, ignore_errors=True)
        self.disk.cdi.mkdir()
        (self.disk.cdi / FOREIGN[0]).write_bytes(FOREIGN[1])
        self.boot += 1
        self.counts["reboots"] += 1

    def finish_switches(self) -> None:
        """What the kernel has begun comes to its end."""
        while self.hardware.kernel.switching:
            self.loop.step(next(i for i, point in enumerate(self.loop.points) if point.owner is None))

    def settle(self, seconds: float = 0) -> None:
        """Lets everything go on in its natural order until nothing is left, and then time pass."""
        until = self.clock.now() + seconds
        for _ in range(_PATIENCE):
            if self.loop.step():
                self.counts["points"] += 1
                continue
            wait = self.clock.next_in()
            if wait is None or self.clock.now() + wait > until:
                self.clock.advance(max(0.0, until - self.clock.now()))
                self.note_end()
                return
            self.clock.advance(wait)
        labels = Counter(point.label for point in self.loop.points)
        raise AssertionError(f"it does not come to rest: {labels}")

    def close(self) -> None:
        """Ends everything."""
        self.kill()
        self.loop.points.clear()
        self.loop.close()

    # The kubelet.

    def call(self, verb: str, uids: list[str]) -> None:
        """A call; what comes of it is noted when it ends."""
        if self.process is None or not self.process.serving:
            return
        stories = [self.stories[uid] for uid in dict.fromkeys(uids)]
        # A Prepare and an Unprepare of one claim are never under way at once, but for those that were given up.
        stories = [story for story in stories if not any(call.verb != verb for call in story.calls)]
        if not stories:
            return
        call = Call(verb=verb, stories=stories, changes=self.hardware.changes)
        call.begin()
        self.counts[verb] += 1
        self.process.call(verb, [story.ref for story in stories], call, self._end)

    def _end(self, call: Call, answers: Mapping[str, Answer] | None) -> None:
        """A call is over; None for one without an answer."""
        call.leave()
        if answers is None:
            return
        assert answers.keys() == {story.ref.uid for story in call.stories}
        for story in call.stories:
            answer = answers[story.ref.uid]
            self.counts["refusals" if answer.error else "answers"] += 1
            if call.verb == "prepare" and not answer.error:
                self._take(story, answer, changed=self.hardware.changes != call.changes)

    def _take(self, story: Story, answer: Answer, *, changed: bool) -> None:
        """The kubelet is told that a claim is prepared."""
        assert not story.broken, f"{story.ref} was prepared: {answer}"
        assert story.results is not None
        assert [item.device for item in answer.devices] == [item.device for item in story.results]
        if story.deleted:
            return
        record = self.find_record(story.ref.uid)
        assert record is not None, f"{story.ref} is told to be prepared, and has no record"
        assert record.state == State.READY
        boards = {held.device: held.unique_id for held in record.devices}
        if story.told and not story.damaged:
            assert story.boards == boards, "another GPU was taken under an old name"
            assert [item.cdi_ids for item in story.told] == [item.cdi_ids for item in answer.devices]
        story.told, story.boards, story.damaged = answer.devices, boards, False
        if not changed:
            self.check_document(story)

    # What must hold.

    def find_record(self, uid: str) -> Record | None:
        """A claim's record as it is on disk; None if there is none that can be read."""
        try:
            return decode_record((self.disk.records / f"{uid}.json").read_bytes())
        except (FileNotFoundError, CorruptRecordError):
            return None

    def check(self) -> None:
        """After every step."""
        if self._broken:
            raise self._broken[0]
        self.note_end()
        using = [story for story in self.stories.values() if story.in_use]
        for one, other in combinations(using, 2):
            for first in one.exclusive:
                for second in other.exclusive:
                    assert not exclude(first, second), f"{first} of {one.ref} and {second} of {other.ref}"
        for story in using:
            if not story.damaged:
                record = self.find_record(story.ref.uid)
                assert record is not None, f"{story.ref} is lost"
                assert record.state == State.READY
                assert [held.device for held in record.devices] == [item.device for item in story.results or ()]
                assert not story.upgraded or ADDED in record.later, f"what was added to {story.ref} is lost"

    def _check_write(self, address: PciAddress, mode: str) -> None:
        """The plugin sets a mode: nobody may be using the GPU in another."""
        self.counts["switches"] += 1
        board = next(gpu.unique_id for gpu in self.hardware.kernel.fleet.gpus if gpu.address == address)
        for story in self.stories.values():
            for device, _ in story.exclusive if story.in_use else ():
                gpu, wanted = gpu_and_mode(device)
                if gpu == str(address) and story.boards.get(device) == f"{board:016x}" and wanted != mode:
                    self._broken.append(AssertionError(f"{address} is switched to {mode} under {story.ref}"))

    def check_document(self, story: Story) -> None:
        """A claim's document is there, and names device nodes of its own devices and no other."""
        path = self.disk.cdi / f"k8s.gpu.amd.com-gpu_{story.ref.uid}.json"
        document = json.loads(path.read_bytes())
        assert document["kind"] == "k8s.gpu.amd.com/gpu"
        found = {device["name"]: device["containerEdits"]["deviceNodes"] for device in document["devices"]}
        parts = {}
        inventory = self.hardware.inventory
        for gpu in inventory.gpus:
            for part in gpu.partitions:
                infix = "" if gpu.compute_mode in ("SPX", None) else f"-{gpu.compute_mode.lower()}-{part.index}"
                parts[f"gpu-{str(gpu.address).replace(':', '-').replace('.', '-')}{infix}"] = (gpu, part)
        for item, result in zip(story.told, story.results or (), strict=True):
            (ident,) = item.cdi_ids
            nodes = {(node["path"], node["major"], node["minor"]) for node in found[ident.partition("=")[2]]}
            if result.admin_access:
                continue
            gpu, part = parts[item.device]
            own = [node for node in (inventory.kfd, part.render, part.card) if node is not None]
            assert nodes == {(f"/dev/{node.path}", node.major, node.minor) for node in own}, item.device
            assert gpu.unique_id == story.boards[item.device], f"another GPU is handed out as {item.device}"

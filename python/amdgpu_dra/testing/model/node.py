"""`Node`: the processes of the plugin and everything around them. What must hold of it is in `truth`."""

import asyncio
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from amdgpu_dra.agent.claims import Answer
from amdgpu_dra.api.checkpoint import Record, State
from amdgpu_dra.api.errors import DriverError
from amdgpu_dra.edge.disk import InstanceFile
from amdgpu_dra.testing.model.clock import VirtualClock
from amdgpu_dra.testing.model.disk import Disk, Sickness
from amdgpu_dra.testing.model.forms import in_form
from amdgpu_dra.testing.model.kernel import Hardware
from amdgpu_dra.testing.model.kubelet import Call, Story
from amdgpu_dra.testing.model.loop import StepLoop
from amdgpu_dra.testing.model.process import Process, Surroundings, options_of
from amdgpu_dra.testing.model.server import Server
from amdgpu_dra.testing.model.truth import Truth

# The Go library for CDI crashes on a class of one letter: it is another driver's, and it stays as it is.
FOREIGN = ("vendor.example.org-x.json", b'{"cdiVersion":"0.5.0","kind":"vendor.example.org/x","devices":[]}')
# The old one, the new one, and one that is leaving.
_INSTANCES = 3
_PATIENCE = 50_000
# In the labels of points.
_CHANGES = ("saved", "written", "removed", "dropped")
# Calls in flight get 20 s at a stop.
_GRACE = 25.0
# A look that met a disk or an API server in trouble is made again after ten to fifteen minutes.
_LOOKED_AGAIN = 950.0


class Node:
    """Everything that the rules act on.

    Attributes:
        processes: those of the plugin, oldest first; more than one during a rolling update.
        stories: every claim that there ever was, by UID.
        truth: what must hold.
        uneasy: when the API server or the disk was last in trouble.
        counts: what was done, for whoever runs it for long.
    """

    def __init__(self, disk: Disk, *, idle_mode: str = "", per_gpu: bool = True) -> None:
        self.loop = StepLoop()
        self.clock = VirtualClock(self.loop)
        self.hardware = Hardware(self.loop, per_gpu=per_gpu)
        self.server = Server()
        self.disk = disk
        self.idle_mode = idle_mode
        self.boot = 0
        self.truth = Truth(disk, self.hardware)
        self.stories = self.truth.stories
        self.counts: Counter[str] = Counter()
        self.processes: list[Process] = []
        self.uneasy = float("-inf")
        self.loop.set_exception_handler(self._note_error)
        self._empty_cdi()
        self.start()

    def _note_error(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # Of a callback; what else is told here is of tasks that died with their process.
        if "handle" in context and "exception" in context:
            self.truth.broken.append(context["exception"])

    def _empty_cdi(self) -> None:
        with self.disk.by_hand():
            shutil.rmtree(self.disk.cdi, ignore_errors=True)
            self.disk.cdi.mkdir()
            (self.disk.cdi / FOREIGN[0]).write_bytes(FOREIGN[1])

    # The processes.

    @property
    def process(self) -> Process | None:
        """The newest one."""
        return self.processes[-1] if self.processes else None

    @property
    def serving(self) -> list[Process]:
        """Those that the kubelet can call, oldest first."""
        return [process for process in self.processes if process.serving]

    def start(self, *, adds: bool = False) -> None:
        """A new process, if there is none."""
        if not self.processes:
            self.join(adds=adds)

    def join(self, *, adds: bool = False) -> None:
        """A new process beside those that there are, unless they are too many. `adds`: of a newer driver."""
        if len(self.processes) >= _INSTANCES:
            return
        self.counts["starts"] += 1
        self.counts["starts beside another instance"] += bool(self.processes)
        around = Surroundings(
            loop=self.loop, clock=self.clock, hardware=self.hardware, server=self.server, disk=self.disk
        )
        self.processes.append(Process(around, options_of(self.idle_mode), f"boot-{self.boot}", adds=adds))
        self.note_end()

    def kill(self, which: int | None = None, *, half: int = 0) -> None:
        """SIGKILL to one, or to all, wherever they stand; `half`: see `Disk`."""
        doomed = self.processes if which is None else [self.processes[which % len(self.processes)]]
        self.disk.half = half
        for process in list(doomed):
            self.counts["kills"] += 1
            self.counts["kills beside another instance"] += len(self.processes) > 1
            self.processes.remove(process)
            process.kill()

    def stop(self) -> None:
        """SIGTERM to all, and time for what is under way."""
        for process in self.processes:
            process.stop()
        self.settle(_GRACE)
        assert not self.processes, "it does not end"

    def note_end(self) -> None:
        """A process may give up at its start if the disk is not well. It may end in no other way than by a signal."""
        for process in [process for process in self.processes if process.ended is not None]:
            self.processes.remove(process)
            self.loop.kill(process)
            process.leave()
            ended = process.ended
            assert ended is not None
            if not isinstance(ended, SystemExit) and not (isinstance(ended, DriverError) and self.disk.sick):
                raise ended

    def reboot(self, *, major: int, turned: bool, kept: list[bool]) -> None:
        """The power goes: processes, CDI folder, modes and numbers with it, and what was not synced but for `kept`."""
        self.kill()
        self.finish_switches()
        gone = [story for story in self.stories.values() if story.let_go and self.find_record(story.ref.uid) is None]
        self.disk.cut(kept)
        for story in gone:
            assert self.find_record(story.ref.uid) is None, f"{story.ref} was dropped and is there again"
        self.hardware.restart("reboot", major=major, turned=turned)
        self._empty_cdi()
        self.boot += 1
        self.counts["reboots"] += 1

    def finish_switches(self) -> None:
        """What the kernel has begun comes to its end."""
        while self.hardware.kernel.switching:
            self.loop.step(next(i for i, point in enumerate(self.loop.points) if point.owner is None))

    def go_on(self, points: int) -> None:
        """Lets so many points go on in their natural order, if there are as many."""
        for _ in range(points):
            if not self._step():
                return

    def _step(self) -> bool:
        """One point goes on, if there is one; what must hold is looked at after each that changes a file or a mode."""
        label = self.loop.points[0].label if self.loop.points else ""
        if not self.loop.step():
            return False
        self.counts["points"] += 1
        if any(word in label for word in _CHANGES):
            self.truth.check()
        return True

    def settle(self, seconds: float = 0) -> None:
        """Lets everything go on in its natural order until nothing is left, and then time pass."""
        until = self.clock.now() + seconds
        stopping = [process for process in self.processes if process.stopping]
        for _ in range(_PATIENCE):
            if self._step():
                continue
            wait = self.clock.next_in()
            if wait is None or self.clock.now() + wait > until:
                self.clock.advance(max(0.0, until - self.clock.now()))
                self.note_end()
                assert seconds < _GRACE or not any(process in self.processes for process in stopping)
                return
            self.clock.advance(wait)
        labels = Counter(point.label for point in self.loop.points)
        raise AssertionError(f"it does not come to rest: {labels}")

    def close(self) -> None:
        """Ends everything."""
        self.kill()
        self.finish_switches()
        self.loop.points.clear()
        self.loop.close()

    # The API server and the disk.

    def set_api(self, *, down: bool) -> None:
        """The API server goes, or comes."""
        self.server.set_down(down=down)
        self.uneasy = self.clock.now()

    def set_disk(self, sick: Sickness | None) -> None:
        """The disk fails, or is well again."""
        self.disk.fall_sick(sick)
        self.uneasy = self.clock.now()

    def heal(self) -> None:
        """Disk, API server and every GPU are well."""
        self.set_disk(None)
        self.set_api(down=False)
        self.finish_switches()
        self.hardware.heal()

    # The records.

    def find_record(self, uid: str) -> Record | None:
        """See `Truth`."""
        return self.truth.find_record(uid)

    def rewrite(self, story: Story, form: str, *, beside: bool) -> None:
        """A driver of another version ran, and has left a claim's record in its form (see `FORMS`).

        `beside`: it still runs for this moment beside those that there are; else these were killed before, and one
        starts anew.
        """
        path = self.disk.records / f"{story.ref.uid}.json"
        data = self.disk.read(path)
        if data is None or story.newer is not None or self.find_record(story.ref.uid) is None:
            return
        if self.disk.read(path.with_suffix(".intent")) is not None:
            # It would have carried that out first.
            return
        if beside:
            if story.calls or not self._write_beside(path, in_form(data, form)):
                return
        else:
            self.kill()
            self._write(path, in_form(data, form))
        story.newer = data if form == "newer" else None
        if not beside:
            self.start()
        self.counts[f"records in form {form}"] += 1

    def take_back(self, story: Story) -> None:
        """The driver that knows a newer record runs again in place of those that do not."""
        if story.newer is not None:
            self.kill()
            self._write(self.disk.records / f"{story.ref.uid}.json", story.newer)
            story.newer = None
            self.start()

    def cut_record(self, story: Story, left: int) -> None:
        """The processes are killed, a record loses all but so many bytes, and the next one starts."""
        self.kill()
        path = self.disk.records / f"{story.ref.uid}.json"
        data = self.disk.read(path) or b""
        self._write(path, data[:-1][:left])
        story.damaged, story.upgraded = True, False
        self.start()

    def _write(self, path: Path, data: bytes) -> None:
        with self.disk.by_hand():
            path.write_bytes(data)

    def _write_beside(self, path: Path, data: bytes) -> bool:
        """Whether another instance could write it now: it may be that one of those here is at work on it."""
        with self.disk.by_hand():
            other = InstanceFile(str(self.disk.folder))
            try:
                free = other.try_lock(f"claim/{path.stem}")
                if free:
                    with other.changing():
                        path.write_bytes(data)
                return free
            finally:
                other.close()

    # The kubelet.

    def call(self, verb: str, uids: list[str], *, old: bool | None = None) -> None:
        """A call, whose end is noted. `old`: to the old instance, or to the new one; else by turns."""
        if not self.serving:
            return
        stories = [self.stories[uid] for uid in dict.fromkeys(uids)]
        # A Prepare and an Unprepare of one claim are never under way at once, but for those that were given up.
        stories = [story for story in stories if not any(call.verb != verb for call in story.calls)]
        if not stories:
            return
        call = Call(verb=verb, stories=stories, changes=self.hardware.changes)
        call.begin()
        self.counts[verb] += 1
        self.counts["calls beside another instance"] += len(self.processes) > 1
        old = self.counts["prepare"] % 2 == 0 if old is None else old
        process = self.serving[0 if old else -1]
        process.call(verb, [story.ref for story in stories], call, self._end)

    def _end(self, call: Call, answers: Mapping[str, Answer] | None) -> None:
        """A call is over; None for one without an answer."""
        call.leave()
        if answers is None:
            return
        assert answers.keys() == {story.ref.uid for story in call.stories}
        for story in call.stories:
            answer = answers[story.ref.uid]
            self.counts["refusals" if answer.error else "answers"] += 1
            if answer.error:
                self._check_refusal(story, answer.error)
            elif call.verb == "prepare":
                self._take(story, answer, changed=self.hardware.changes != call.changes)
            else:
                assert story.newer is None, f"{story.ref} is told to be unprepared, and is a newer driver's"
                story.let_go = True

    def _check_refusal(self, story: Story, error: str) -> None:
        """Who has a record of a newer driver is told so, if nothing else is in the way."""
        if story.newer is not None and self.uneasy == float("-inf") and "instance" not in error:
            assert "expected a record of a form that this version of the driver knows" in error, error

    def _take(self, story: Story, answer: Answer, *, changed: bool) -> None:
        """The kubelet is told that a claim is prepared."""
        assert not story.broken, f"{story.ref} was prepared: {answer}"
        assert story.newer is None, f"{story.ref} was prepared, and is a newer driver's"
        assert story.results is not None
        assert [item.device for item in answer.devices] == [item.device for item in story.results]
        if story.deleted:
            return
        record = self.find_record(story.ref.uid)
        assert record is not None, f"{story.ref} is told to be prepared, and has no record"
        assert record.state == State.READY, f"{story.ref} is told to be prepared, and is {record.state}"
        boards = {held.device: held.unique_id for held in record.devices}
        if story.told and not story.damaged:
            assert story.boards == boards, "another GPU was taken under an old name"
            assert [item.cdi_ids for item in story.told] == [item.cdi_ids for item in answer.devices]
        story.told, story.boards, story.damaged = answer.devices, boards, False
        if not changed:
            self.truth.check_document(story)

    # What must hold.

    def check(self) -> None:
        """After every step."""
        self.note_end()
        self.truth.check()

    def check_rest(self) -> None:
        """Whatever is found at rest, if nothing kept the plugin from looking; see `Truth`."""
        calls = any(process.calls for process in self.processes)
        if self.serving and not calls and self.clock.now() - self.uneasy > _LOOKED_AGAIN:
            self.counts["looks at rest"] += 1
            self.truth.check_rest()

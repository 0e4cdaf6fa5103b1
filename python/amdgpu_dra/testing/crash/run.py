"""Finds the points of a path, kills at each, and compares."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from amdgpu_dra.testing.crash.stage import Path, Phase, Stage
from amdgpu_dra.testing.fakenode import World, make_world
from amdgpu_dra.testing.systrace import AFTER, BEFORE, Control, Order, Point, Seen

# Nothing more comes of a phase when nothing came for so long: only the run without a kill waits for that.
_QUIET = 1.0
_PATIENCE = 20.0
_EINPROGRESS = 115
_RECOVERY = "recovery"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a run: how often it was killed, what differed, and the effects of the plugin that took over."""

    kills: int = 0
    problem: str = ""
    recovery: tuple[Point, ...] = ()


@dataclass
class Report:
    """What became of a path.

    Attributes:
        points: effects of the run without a kill.
        kills: how many times the plugin was killed.
        missed: points that a run did not come to.
        broken: what differed, and where it had been killed.
    """

    path: str
    points: list[Point] = field(default_factory=list)
    kills: int = 0
    missed: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def note(self, where: str, outcome: "Outcome", progress: Callable[[str], None]) -> None:
        """Counts a run."""
        self.kills += outcome.kills
        if not outcome.kills:
            self.missed.append(where)
        if outcome.problem:
            self.broken.append(f"killed {where}: {outcome.problem}")
        progress(f"{self.path}: {where}: {outcome.problem or f'{outcome.kills} kills'}")

    def __str__(self) -> str:
        return (
            f"{self.path}: {len(self.points)} effects, killed {self.kills} times in {self.seconds:.0f} s, "
            f"{len(self.missed)} missed, {len(self.broken)} ended otherwise"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which points are killed at.

    Attributes:
        every: in every phase, and not only where the path is about something that no other path is.
        twice: also the plugin that takes over is killed, after each of its own effects until the phase has ended.
        only: those whose words hold this.
    """

    every: bool = False
    twice: bool = False
    only: str = ""

    def takes(self, path: Path, seen: Seen) -> bool:
        """Whether it is killed at this one."""
        phase = next(phase for phase in path.phases if phase.name == seen.point.phase)
        return (
            _counts(seen) and self.only in str(seen.point) and (self.every or phase.is_of_interest(seen.point.effect))
        )


async def rehearse(path: Path, command: Sequence[str] | None = None) -> list[Point]:
    """The effects of a path, by a run without a kill; `command` runs the plugin in another way than as in the image."""
    async with make_world(path.fleet, dynamic=path.dynamic) as world:
        known, _ = await _Runs(world, path, command).rehearse()
    return [seen.point for seen in known if _counts(seen)]


async def crash(
    path: Path,
    choice: Choice,
    *,
    command: Sequence[str] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Kills before and after each effect of a path, and compares what there is after each phase from there on.

    Args:
        path: which.
        choice: at which points.
        command: runs the plugin in another way than as in the image.
        progress: is told of each run.
    """
    report, since = Report(path.name), time.monotonic()
    async with make_world(path.fleet, dynamic=path.dynamic) as world:
        runs = _Runs(world, path, command)
        known, after = await runs.rehearse()
        report.points = [seen.point for seen in known if choice.takes(path, seen)]
        for point in report.points:
            for side in (BEFORE, AFTER):
                order = Order(phase="", kill=point, side=side)
                outcome = await runs.kill_at(order, after)
                report.note(f"{side} {point}", outcome, progress)
                for again in outcome.recovery if choice.twice else ():
                    report.note(f"{side} {point}, after {again}", await runs.kill_at(order, after, again), progress)
        await runs.close()
    report.seconds = time.monotonic() - since
    return report


def _counts(seen: Seen) -> bool:
    """Whether the call did something that outlasts the process: not one that was refused, a lock, or a connection.

    Whether a connection is opened for a request or was left by another is not the same in every run.
    """
    lasts = seen.point.effect != "connect tcp" and not seen.point.effect.startswith("lock ")
    return lasts and (seen.outcome >= 0 or seen.outcome == -_EINPROGRESS)


class _Runs:
    """Runs of one path in one world, which is cleared after each."""

    def __init__(self, world: World, path: Path, command: Sequence[str] | None) -> None:
        self._world, self._path, self._command = world, path, list(command or world.setting.command)
        folder = world.setting.work / "trace"
        folder.mkdir()
        self._control = Control(folder)
        self._running: Stage | None = None
        self._rehearsed: Stage | None = None

    def _stage(self) -> Stage:
        return Stage(self._world, self._path, self._command)

    async def rehearse(self) -> tuple[list[Seen], dict[str, dict[str, Any]]]:
        """A run without a kill: the effects, and what there is after each phase."""
        stage: Stage = self._stage()
        after: dict[str, dict[str, Any]] = {}
        try:
            if self._path.before is not None:
                self._control.give(Order(phase="before"))
                await self._path.before(stage)
                await stage.keep()
                self._control.clear()
            for phase in self._path.phases:
                await self._begin(stage, Order(phase=phase.name))
                await phase.step(stage)
                await self._quiet()
                after[phase.name] = await stage.seen()
            return self._control.read(), after
        finally:
            await stage.clear()
            self._rehearsed = stage

    async def _quiet(self) -> None:
        count = -1
        while count != (count := sum(map(_counts, self._control.read()))):
            await asyncio.sleep(_QUIET)

    async def _begin(self, stage: Stage, order: Order) -> None:
        self._control.give(order)
        if order.phase == self._path.phases[0].name:
            await stage.launch()

    async def kill_at(self, order: Order, after: Mapping[str, dict[str, Any]], again: Point | None = None) -> Outcome:
        """One run with a kill, and the same end. Where the plugin starts or stops, or finds something, a whole story.

        Elsewhere the plugin that took over goes on with the next run, which saves a start.
        """
        first, *middle, last = self._path.phases
        whole = self._path.before is not None or order.kill is None or order.kill.phase in (first.name, last.name)
        if whole:
            await self.close()
        stage = self._running or self._stage()
        self._running = None
        self._control.clear()
        try:
            if self._path.before is not None and self._rehearsed is not None:
                stage.find(self._rehearsed)
            if stage.plugin is None and not whole:
                await self._play(stage, (first,), Order(phase=""), after)
            outcome = await self._play(stage, self._path.phases if whole else middle, order, after, again)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong is what the report is for
            await stage.clear()
            return Outcome(kills=self._kills(), problem=f"{error!r}")
        if whole:
            await stage.clear()
        else:
            await stage.forget()
            self._running = stage
        return outcome

    def _kills(self) -> int:
        return sum(bool(seen.killed) for seen in self._control.read())

    async def close(self) -> None:
        """Ends a plugin that was left running for the next run."""
        if self._running is not None:
            await self._running.clear()
            self._running = None

    async def _play(
        self,
        stage: Stage,
        phases: Sequence[Phase],
        order: Order,
        after: Mapping[str, dict[str, Any]],
        again: Point | None = None,
    ) -> Outcome:
        recovery: tuple[Point, ...] = ()
        for phase in phases:
            if self._kills():
                await phase.step(stage)
            else:
                await self._begin(stage, replace(order, phase=phase.name))
                if await self._act(stage, phase, order.kill):
                    await self._recover(stage, phase, order, again)
                    recovery = tuple(
                        seen.point for seen in self._control.read() if seen.point.phase == _RECOVERY and _counts(seen)
                    )
            await _compare(stage, phase, after[phase.name])
        return Outcome(kills=self._kills(), recovery=recovery)

    async def _act(self, stage: Stage, phase: Phase, kill: Point | None) -> bool:
        """A phase that may end by the plugin's end; whether it did."""
        assert stage.plugin is not None
        before = self._kills()
        step = asyncio.ensure_future(phase.step(stage))
        end = asyncio.ensure_future(stage.plugin.process.wait())
        await asyncio.wait({step, end}, return_when=asyncio.FIRST_COMPLETED, timeout=_PATIENCE)
        if kill is not None and kill.phase == phase.name and not end.done():
            # The call was answered; what comes after the answer may be what is meant.
            await asyncio.wait({end}, timeout=_PATIENCE)
        if self._kills() == before:
            end.cancel()
            await step
            return False
        await end
        step.cancel()
        await asyncio.gather(step, return_exceptions=True)
        return True

    async def _recover(self, stage: Stage, phase: Phase, order: Order, again: Point | None) -> None:
        """A new plugin, and the kubelet's side tries again; that one may be killed as well."""
        first = phase is self._path.phases[0]

        async def retry(stage: Stage) -> None:
            if not first:
                await stage.join()
                # On one side alone: what a rival does could cover up what was left undone.
                if order.side == BEFORE:
                    await stage.contest()
            await phase.step(stage)

        stage.check_records()
        self._control.give(Order(phase=_RECOVERY, kill=again, side=AFTER))
        await stage.launch()
        if await self._act(stage, Phase(_RECOVERY, retry), again):
            stage.check_records()
            self._control.give(Order(phase="second recovery"))
            await stage.launch()
            await retry(stage)


async def _compare(stage: Stage, phase: Phase, expected: dict[str, Any]) -> None:
    """Returns once what there is is what was expected."""
    until = time.monotonic() + _PATIENCE
    while (found := await stage.seen()) != expected:
        if time.monotonic() > until:
            raise AssertionError(f"after {phase.name}: " + "; ".join(_differences(expected, found)))
        await asyncio.sleep(0.01)


def _differences(expected: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
    for key in sorted(expected.keys() | found.keys()):
        if expected.get(key) != found.get(key):
            sides = (json.dumps(side.get(key))[:300] for side in (expected, found))
            yield "{}: expected {}, found {}".format(key, *sides)

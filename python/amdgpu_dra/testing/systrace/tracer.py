"""The loop that runs a process from stop to stop."""

import os
import signal
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

from amdgpu_dra.testing.systrace import ptrace, seccomp
from amdgpu_dra.testing.systrace.control import AFTER, BEFORE, Control, Point, Seen
from amdgpu_dra.testing.systrace.effects import Effects

_WALL = 0x40000000
_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def start(command: Sequence[str]) -> int:
    """A process with a filter that stops at its first step; its id."""
    child = os.fork()
    if child == 0:
        try:
            ptrace.trace_me()
            os.kill(os.getpid(), signal.SIGSTOP)
            seccomp.install()
            os.execvp(command[0], list(command))  # noqa: S606 - it is what is traced
        finally:
            os._exit(127)
    os.waitpid(child, _WALL)
    ptrace.set_options(child)
    for number in _FORWARDED:
        signal.signal(number, lambda given, _frame: _forward(child, given))
    ptrace.go_on(child)
    return child


def _forward(child: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(child, number)


class Tracer:
    """Follows every thread of a process; tells each effect, and kills where it is told to."""

    def __init__(self, child: int, control: Control, effects: Effects) -> None:
        self._child, self._control, self._effects = child, control, effects
        self._phase = ""
        self._counts: Counter[str] = Counter()
        self._within: dict[int, Point] = {}
        self._threads = {child}

    def run(self) -> int:
        """Until the process has ended; its wait status."""
        while True:
            thread, status = os.waitpid(-1, _WALL)
            if not os.WIFSTOPPED(status):
                self._threads.discard(thread)
                if thread == self._child:
                    return status
                continue
            # A thread may be killed at any time, also while it is stopped.
            with suppress(ProcessLookupError):
                self._stopped(thread, os.WSTOPSIG(status), status >> 16)

    def _stopped(self, thread: int, number: int, event: int) -> None:
        if event == ptrace.EVENT_SECCOMP:
            ptrace.go_on(thread, to_end=self._begins(thread))
        elif number == ptrace.SYSCALL_STOP:
            self._ends(thread)
            ptrace.go_on(thread)
        elif event or thread not in self._threads:
            # Of tracing itself, or the first stop of a new thread.
            self._threads.add(thread)
            ptrace.go_on(thread)
        else:
            ptrace.go_on(thread, number)

    def _begins(self, thread: int) -> bool:
        """Whether the end of the call is of interest."""
        call = ptrace.read_call(thread)
        effect = self._effects.name(thread, call) if isinstance(call, ptrace.Entered) else None
        if effect is None:
            return False
        order = self._control.take()
        if order.phase != self._phase:
            self._phase = order.phase
            self._counts.clear()
        self._counts[effect] += 1
        point = Point(phase=self._phase, effect=effect, count=self._counts[effect])
        if order.kill == point and order.side == BEFORE:
            self._kill(point, BEFORE)
        self._within[thread] = point
        return True

    def _ends(self, thread: int) -> None:
        point = self._within.pop(thread, None)
        outcome = ptrace.read_call(thread)
        if point is None or not isinstance(outcome, int):
            return
        order = self._control.take()
        if order.kill == point and order.side == AFTER:
            self._kill(point, AFTER)
        else:
            self._control.tell(Seen(point=point, outcome=outcome))

    def _kill(self, point: Point, side: str) -> None:
        os.kill(self._child, signal.SIGKILL)
        self._control.tell(Seen(point=point, killed=side))

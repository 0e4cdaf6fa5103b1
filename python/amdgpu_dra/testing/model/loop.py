"""An event loop whose only freedom is which of the waiting points goes on next: one order of choices, one story.

Everything that a process does to the world passes a point: a coroutine awaits one, a thread parks at one. Threads run
only while the loop waits for them, so that never two things happen at once.
"""

import asyncio
import signal
import threading
from collections.abc import Callable
from contextvars import Context, ContextVar
from dataclasses import dataclass
from typing import Any

# The process that a task belongs to, and whatever that task starts.
OWNER: ContextVar[object] = ContextVar("OWNER", default=None)


class Killed(BaseException):
    """The process was killed here: nothing after this point happened, not even a handler."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Point:
    """Something that waits for its turn. `resume` is given an error to raise there, or None.

    `owner` is the process that dies with it; None for the kernel's own business.
    """

    label: str
    owner: object
    resume: Callable[[BaseException | None], None]


class StepLoop(asyncio.SelectorEventLoop):
    """Runs what can run, and keeps the rest as points.

    Attributes:
        points: what waits, oldest first.
        handlers: what a process wants to be called for a signal; none is installed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.points: list[Point] = []
        self.handlers: dict[tuple[object, int], Callable[[], object]] = {}
        self._calls = 0

    def call_soon[*Ts](
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Counts what is to be done, so that it is known when nothing is."""
        self._calls += 1
        return super().call_soon(callback, *args, context=context)

    def add_signal_handler[*Ts](self, sig: int, callback: Callable[[*Ts], object], *args: *Ts) -> None:
        """Keeps it for the process that asks."""
        self.handlers[OWNER.get(), signal.Signals(sig)] = lambda: callback(*args)

    def run_until_idle(self) -> None:
        """Returns when only points are left."""
        before = -1
        while self._calls != before:
            before = self._calls
            super().call_soon(self.stop)
            self.run_forever()

    def step(self, choice: int = 0) -> bool:
        """Lets one point go on, and everything that follows from it; whether there was one."""
        if not self.points:
            return False
        self.points.pop(choice % len(self.points)).resume(None)
        self.run_until_idle()
        return True

    def kill(self, owner: object) -> None:
        """Ends a process where it stands; others stay as they are."""
        for point in [point for point in self.points if point.owner is owner]:
            self.points.remove(point)
            point.resume(Killed())
        while tasks := [task for task in asyncio.all_tasks(self) if task.get_context().get(OWNER) is owner]:
            for task in tasks:
                task.cancel()
            self.run_until_idle()
            # A handler may have gone to a thread, which finds that the process is dead.
            while any(point.owner is owner for point in self.points):
                self.step(next(i for i, point in enumerate(self.points) if point.owner is owner))

    async def point(self, label: str, owner: object) -> None:
        """Waits for its turn."""
        turn: asyncio.Future[None] = self.create_future()

        def resume(error: BaseException | None) -> None:
            if turn.done():
                return
            if error is None:
                turn.set_result(None)
            else:
                turn.cancel()

        point = Point(label=label, owner=owner, resume=resume)
        self.points.append(point)
        try:
            await turn
        finally:
            if point in self.points:
                self.points.remove(point)

    def later(self, label: str, act: Callable[[], None]) -> None:
        """Something that happens by itself, when its turn comes."""

        def resume(error: BaseException | None) -> None:
            if error is None:
                act()

        self.points.append(Point(label=label, owner=None, resume=resume))

    def park(self, label: str) -> None:
        """The same for a thread; the loop's own thread goes on at once."""
        thread = threading.current_thread()
        if isinstance(thread, _Job):
            thread.park(label)

    def run_in_executor[*Ts, T](self, executor: Any, func: Callable[[*Ts], T], *args: *Ts) -> "asyncio.Future[T]":  # noqa: ARG002
        """A thread that starts at a point."""
        job = _Job(self, lambda: func(*args))
        job.wait_at("thread")
        return job.outcome


class _Job(threading.Thread):
    """A thread that runs only while the loop waits for it."""

    def __init__(self, loop: StepLoop, call: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._loop, self._call, self._owner = loop, call, OWNER.get()
        self.outcome: asyncio.Future[Any] = loop.create_future()
        self._go, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self._label: str | None = None
        self._error: BaseException | None = None
        self._result: tuple[Any, Exception | None] | None = None

    def wait_at(self, label: str) -> None:
        """In the loop's thread: this one's turn comes later."""
        self._loop.points.append(Point(label=label, owner=self._owner, resume=self._resume))

    def park(self, label: str) -> None:
        """In this thread: waits for its turn."""
        self._label = label
        self._back.release()
        self._go.acquire()
        if self._error is not None:
            raise self._error

    def _where(self) -> str | None:
        """Where it waits; None if it has ended."""
        return self._label

    def _resume(self, error: BaseException | None) -> None:
        self._error, self._label = error, None
        if self.ident is None:
            if error is not None:
                self.outcome.cancel()
                return
            self.start()
        else:
            self._go.release()
        self._back.acquire()
        label = self._where()
        if label is not None:
            self.wait_at(label)
            return
        self.join()
        if self._result is None:
            # It was killed: who waits for it is killed as well, and must not wait for ever.
            self.outcome.cancel()
        elif not self.outcome.done():
            value, failed = self._result
            if failed is None:
                self.outcome.set_result(value)
            else:
                self.outcome.set_exception(failed)

    def run(self) -> None:
        try:
            self._result = self._call(), None
        except Exception as error:  # noqa: BLE001 - it belongs to who waits
            self._result = None, error
        except Killed:
            pass
        finally:
            self._back.release()

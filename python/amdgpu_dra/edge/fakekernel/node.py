"""The one fake kernel of a process, shared by its threads."""

import errno
import threading
from collections.abc import Callable
from functools import partial

from amdgpu_dra.core.fakekernel import Kernel, Outcome, describe, finish, obey, waits_for, write
from amdgpu_dra.core.gpu import PciAddress, TreeText


def failure(name: str, path: str) -> OSError:
    """The error of that name, for the caller of a file operation."""
    return OSError(getattr(errno, name), name, path)


class Node:
    """Holds the state; blocks who writes or reads a mode while a switch goes on, and nobody else."""

    def __init__(self, kernel: Kernel, changed: Callable[[Kernel], None] | None = None) -> None:
        """`changed` is called with each new state, one call at a time."""
        self._kernel = kernel
        self._changed = changed
        self._news = threading.Condition()
        self._hurried: set[PciAddress] = set()
        self._closed = False

    @property
    def kernel(self) -> Kernel:
        """The state now."""
        return self._kernel

    @property
    def tree(self) -> TreeText:
        """What sysfs shows now."""
        return self._kernel.tree

    def wait_readable(self, path: str) -> None:
        """Returns once no switch holds the lock of this file."""
        if waits_for(self._kernel, path) is None:
            return
        with self._news:
            self._news.wait_for(lambda: self._closed or waits_for(self._kernel, path) is None)

    def write(self, path: str, data: bytes) -> None:
        """Writes a file; a switch of a mode returns when it is done.

        Raises:
            OSError: as the kernel gives it.
        """
        with self._news:
            outcome = self._judged(path, data)
            self._take(outcome)
            if outcome.errno is not None:
                raise failure(outcome.errno, path)
            gpu = outcome.begun
            if gpu is None:
                return
            self._hurried.discard(gpu)
            self._news.wait_for(lambda: self._closed or gpu in self._hurried, timeout=self._kernel.delay)
            ended = finish(self._kernel, gpu)
            self._take(ended)
            if ended.errno is not None:
                raise failure(ended.errno, path)

    def _judged(self, path: str, data: bytes) -> Outcome:
        while True:
            outcome = write(self._kernel, path, data)
            gpu = outcome.waits
            if gpu is None:
                return outcome
            if self._closed:
                raise failure("EINTR", path)
            self._news.wait_for(partial(self._is_free, gpu))

    def _is_free(self, gpu: PciAddress) -> bool:
        return self._closed or gpu not in self._kernel.switching

    def _take(self, outcome: Outcome) -> None:
        self._kernel = outcome.kernel
        if self._changed is not None:
            self._changed(outcome.kernel)
        self._news.notify_all()

    def obey(self, line: str) -> Outcome:
        """Carries out a control line of `core/fakekernel`.

        Raises:
            ControlError: it is none.
        """
        with self._news:
            outcome = obey(self._kernel, line)
            self._take(outcome)
            return outcome

    def describe(self) -> dict[str, object]:
        """The state as plain data."""
        return describe(self._kernel)

    def hurry(self) -> None:
        """Every switch under way ends now, whatever is left of its delay."""
        with self._news:
            self._hurried |= set(self._kernel.switching)
            self._news.notify_all()

    def await_switch(self, gpu: str, timeout: float) -> bool:
        """Whether a switch of the GPU is or gets under way within so many seconds."""
        with self._news:
            return self._news.wait_for(lambda: gpu in map(str, self._kernel.switching), timeout)

    def close(self) -> None:
        """Lets everybody go who waits."""
        with self._news:
            self._closed = True
            self._news.notify_all()

"""`Backoff`: the pauses of one work that is tried again and again."""

from amdgpu_dra.agent.ports import Clock
from amdgpu_dra.api.errors import DriverError, NotReadyError

_MOST_DOUBLINGS = 16


class Backoff:
    """Pauses with full jitter: each is a random part of a ceiling that doubles from `first` to `longest` seconds.

    Of many who failed in the same moment each comes back at another time, the first at once: a server that returns
    sees them spread over the whole ceiling. What the server asked for itself (Retry-After) is waited for before that.
    """

    def __init__(self, clock: Clock, *, first: float = 0.5, longest: float = 60.0) -> None:
        self._clock, self._first, self._longest = clock, first, longest
        self.failures = 0

    def reset(self) -> None:
        """It worked: the next pause is a first one."""
        self.failures = 0

    def next_pause(self, error: DriverError | None = None) -> float:
        """Seconds until the next try, after one more that failed with `error`."""
        ceiling = min(self._longest, self._first * float(1 << min(self.failures, _MOST_DOUBLINGS)))
        self.failures += 1
        told = error.retry_after if isinstance(error, NotReadyError) else None
        return (told or 0.0) + self._clock.jitter() * ceiling

"""The token of a pod's service account, which the kubelet renews in its file.

The client's own way asks the time of day when to read it again: a clock that goes back by a day leaves a token of an
hour in use for that day.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

# A kubelet renews a token when four fifths of its time are over, the shortest of which is 10 minutes.
_EVERY = 60.0


class PodToken:
    """Puts the token into a client's configuration; a client calls it before each request."""

    def __init__(self, path: str, now: Callable[[], float] = time.monotonic) -> None:
        """`now`: seconds that never go back."""
        self._path, self._now = path, now
        self._read_at: float | None = None

    def __call__(self, configuration: Any) -> None:
        """Reads the file if that is a minute ago. While it cannot be read the token of before stays."""
        if self._read_at is not None and self._now() - self._read_at < _EVERY:
            return
        with suppress(OSError), open(self._path, encoding="ascii") as file:
            token = file.read().strip()
            if token:
                configuration.api_key["BearerToken"] = f"Bearer {token}"
                self._read_at = self._now()

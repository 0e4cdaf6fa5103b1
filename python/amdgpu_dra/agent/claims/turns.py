"""`Turns`: one at a time for each key."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """A lock for each key, kept for as long as somebody holds it or waits for it, and no longer.

    A lock that is free may still have somebody about to take it (`asyncio.Lock` wakes a waiter before that one has it),
    so users are counted; `locked()` does not tell.
    """

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    def __len__(self) -> int:
        return len(self._locks)

    @asynccontextmanager
    async def take(self, key: str) -> AsyncIterator[None]:
        """Waits until no other has this key, and has it inside."""
        lock, users = self._locks.get(key) or (asyncio.Lock(), 0)
        self._locks[key] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks.pop(key)
            if users > 1:
                self._locks[key] = (lock, users - 1)

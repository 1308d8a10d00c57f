"""Long polls: receivers that sleep until a message may be there."""

from __future__ import annotations

import asyncio
from collections import deque

from aflint.localcloud.clock import Clock, finish


class Waiters:
    """The receivers that wait on one queue, woken in the order they came."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()

    def wake(self, count: int | None = None) -> None:
        """Wake the first `count` of them, or all."""
        left = len(self._waiting) if count is None else count
        while left > 0 and self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                left -= 1

    async def wait(self, clock: Clock, until: float) -> None:
        """Return when woken, or at the time `until`."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        timer = clock.call_at(until, lambda: finish(waiter))
        try:
            await waiter
        finally:
            timer.cancel()
            if waiter in self._waiting:
                self._waiting.remove(waiter)

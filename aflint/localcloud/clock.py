"""Time as the emulator sees it: a `Clock` is passed in, so that a test can move time by hand.

Every deadline in the emulator (visibility, long polls, reusable names, time limits of functions,
recycling of idle environments) is a callback on a `Clock`.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A callback that is still to come, and can be cancelled."""

    def cancel(self) -> None:
        """Forget the callback; harmless when it already ran."""


class Clock(Protocol):
    """Seconds since the epoch, and callbacks at a time."""

    def now(self) -> float:
        """The present, in seconds since the epoch."""

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """Run `callback` once, on the event loop, when `now()` has reached `when`."""


class SystemClock:
    """The machine's own time."""

    def now(self) -> float:
        return time.time()

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        return asyncio.get_running_loop().call_later(max(0.0, when - time.time()), callback)


class _ManualTimer:
    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


class ManualClock:
    """A clock that stands still until `advance` moves it; for tests."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._now = start
        self._order = itertools.count()
        self._timers: list[tuple[float, int, _ManualTimer]] = []

    def now(self) -> float:
        return self._now

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        timer = _ManualTimer(callback)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Move time forward and run every callback that falls due on the way, in order."""
        end = self._now + seconds
        # A callback may add another one, which may fall due within the same advance.
        while self._timers and self._timers[0][0] <= end:
            when, _, timer = heapq.heappop(self._timers)
            self._now = max(self._now, when)
            callback, timer.callback = timer.callback, None  # None if it was cancelled
            if callback is not None:
                callback()
        self._now = end


def finish(waiter: asyncio.Future[None]) -> None:
    """Set a future that may be done already, or cancelled."""
    if not waiter.done():
        waiter.set_result(None)


async def pause(clock: Clock, seconds: float) -> None:
    """Return when `seconds` have gone by on `clock`."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    timer = clock.call_at(clock.now() + seconds, lambda: finish(done))
    try:
        await done
    finally:
        timer.cancel()

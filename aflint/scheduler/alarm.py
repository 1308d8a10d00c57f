"""One timer on the event loop, for the time at which the state machine wants to be woken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Alarm:
    """Calls `ring` with the time that was asked for, once for each time it is set."""

    def __init__(self, clock: Callable[[], float], ring: Callable[[float], None]) -> None:
        self.clock = clock
        self._ring = ring
        self._handle: asyncio.TimerHandle | None = None

    def set(self, time: float) -> None:
        """Ring at `time` of the clock, in place of what was set before."""
        self.cancel()
        delay = max(0.0, time - self.clock())
        self._handle = asyncio.get_running_loop().call_later(delay, self._go_off, time)

    def cancel(self) -> None:
        """Do not ring."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _go_off(self, time: float) -> None:
        self._handle = None
        self._ring(time)

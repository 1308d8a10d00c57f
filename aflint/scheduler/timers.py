"""What is due when, inside the state machine."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator


class Timers:
    """A heap of callbacks by time. Those due at the same time run in the order they were set."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._announced: float | None = None

    def at(self, time: float, action: Callable[[], None]) -> None:
        """Have `action` done by the first `due` at or after `time`."""
        self._count += 1
        heapq.heappush(self._heap, (time, self._count, action))

    def due(self, now: float) -> Iterator[Callable[[], None]]:
        """Yield, and forget, what is due."""
        while self._heap and self._heap[0][0] <= now:
            yield heapq.heappop(self._heap)[2]

    def fired(self) -> None:
        """Note that the announced time has come."""
        self._announced = None

    def announce(self) -> float | None:
        """Return the next time to wake at where that is sooner than what was announced."""
        if not self._heap:
            return None
        first = self._heap[0][0]
        if self._announced is not None and self._announced <= first:
            return None
        self._announced = first
        return first

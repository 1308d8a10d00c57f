"""Watches the resident memory of running environments, as the kernel does on Lambda."""

from __future__ import annotations

import asyncio
from typing import Protocol

_INTERVAL_S = 0.02


class Watched(Protocol):
    """Something that has a memory limit."""

    def check_memory(self) -> None:
        """Look, and act when it is over."""


class MemoryWatch:
    """Samples what is watched every 20 ms, and nothing while nothing is.

    A function that grows and ends between two samples is caught by its process's peak, which the
    environment reads when an invocation ends.
    """

    def __init__(self) -> None:
        self._watched: set[Watched] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, watched: Watched) -> None:
        """Begin to watch."""
        self._watched.add(watched)
        if self._timer is None:
            self._arm()

    def remove(self, watched: Watched) -> None:
        """End it; harmless when not watched."""
        self._watched.discard(watched)

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_INTERVAL_S, self._sample)

    def _sample(self) -> None:
        self._timer = None
        for watched in list(self._watched):
            watched.check_memory()
        if self._watched:
            self._arm()

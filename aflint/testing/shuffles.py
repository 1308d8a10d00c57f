"""A shuffle service that keeps a list instead of shuffles."""

from __future__ import annotations

import asyncio

from aflint.task import ShuffleHandle


class RecordingShuffles:
    """Opens and closes nothing, and remembers what it was asked, as (job, shuffle).

    `open_now` holds what was opened and not closed. Opening takes `open_s` seconds, closing
    `close_s`; `open_error` and `close_error` are raised where they are given.
    """

    def __init__(
        self,
        *,
        open_s: float = 0.0,
        close_s: float = 0.0,
        open_error: Exception | None = None,
        close_error: Exception | None = None,
    ) -> None:
        self.opened: list[tuple[str, int]] = []
        self.closed: list[tuple[str, int]] = []
        self.open_now: set[tuple[str, int]] = set()
        self.open_s = open_s
        self.close_s = close_s
        self.open_error = open_error
        self.close_error = close_error

    async def open(self, job: str, shuffle: int, partitions: int) -> ShuffleHandle:
        """Note it, and return a handle whose address is its name."""
        await asyncio.sleep(self.open_s)
        if self.open_error is not None:
            raise self.open_error
        self.opened.append((job, shuffle))
        self.open_now.add((job, shuffle))
        return ShuffleHandle(job, shuffle, partitions, f"{job}/{shuffle}")

    async def close(self, handle: ShuffleHandle) -> None:
        """Note it."""
        await asyncio.sleep(self.close_s)
        if self.close_error is not None:
            raise self.close_error
        self.closed.append((handle.job, handle.shuffle))
        self.open_now.discard((handle.job, handle.shuffle))

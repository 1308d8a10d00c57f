"""The shuffles of a run, as long as the run is this driver's."""

from __future__ import annotations

from dataclasses import dataclass

from aflint.journal import Past
from aflint.scheduler.shuffles import ShuffleService
from aflint.task import ShuffleHandle


@dataclass(frozen=True, slots=True)
class OwnShuffles(ShuffleService):
    """Opens and closes; but closes nothing of a run that another driver has taken over."""

    shuffles: ShuffleService
    past: Past

    async def open(self, job: str, shuffle: int, partitions: int) -> ShuffleHandle:
        """Make ready what the shuffle needs."""
        return await self.shuffles.open(job, shuffle, partitions)

    async def close(self, handle: ShuffleHandle) -> None:
        """Remove all that the shuffle left anywhere."""
        if not self.past.refused:
            await self.shuffles.close(handle)

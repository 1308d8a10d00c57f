"""The shuffles of a run, as long as the run is this driver's."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from aflint.errors import JobRunningError
from aflint.journal import Journal, Past
from aflint.scheduler.shuffles import ShuffleService
from aflint.task import ShuffleHandle


@dataclass(frozen=True, slots=True)
class OwnShuffles(ShuffleService):
    """Opens and closes; but closes nothing of a run that another driver has taken over."""

    shuffles: ShuffleService
    past: Past
    journal: Journal

    async def open(self, job: str, shuffle: int, partitions: int) -> ShuffleHandle:
        """Make ready what the shuffle needs."""
        return await self.shuffles.open(job, shuffle, partitions)

    async def close(self, handle: ShuffleHandle) -> None:
        """Remove all that the shuffle left anywhere.

        Not before the journal has it that its job is over: who resumes the run from now on will
        not look for it, and if somebody has, it is theirs.
        """
        if self.past.refused is not None:
            return
        with suppress(JobRunningError):
            await self.journal.flush()
            await self.shuffles.close(handle)

"""The shuffles of a run, as long as the run is this driver's."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

from aflint.errors import AflintError, RunInUseError
from aflint.journal import Journal, Past
from aflint.journal.entries import ShuffleClosed, ShuffleMade
from aflint.scheduler.loop import ShuffleService
from aflint.task import ShuffleHandle


@dataclass(frozen=True, slots=True)
class OwnShuffles(ShuffleService):
    """Opens and closes; but closes nothing of a run that another driver has taken over."""

    shuffles: ShuffleService
    past: Past
    journal: Journal
    left: list[AflintError] = field(default_factory=list)
    """Why shuffles were not removed: their jobs have an answer or an error of their own."""

    async def open(self, job: str, shuffle: int, partitions: int) -> ShuffleHandle:
        """Make ready what the shuffle needs."""
        return await self.shuffles.open(job, shuffle, partitions)

    async def close(self, handle: ShuffleHandle) -> None:
        """Remove all that the shuffle left anywhere.

        Not before the journal says so: a driver that resumes the run from now on will not look for
        it. If another driver has resumed the run already, the shuffle belongs to that one, unless
        the journal never named it.
        """
        self.journal.record(ShuffleClosed(handle))
        if await self._is_own(handle):
            try:
                await self.shuffles.close(handle)
            except AflintError as error:
                self.left.append(error)

    async def _is_own(self, handle: ShuffleHandle) -> bool:
        if self.past.refused is None:
            with suppress(RunInUseError):
                await self.journal.flush()
                return True
        unwritten = (each for each in self.journal.unwritten if isinstance(each, ShuffleMade))
        return any(each.handle == handle for each in unwritten)

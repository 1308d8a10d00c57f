"""Closing the shuffles of a run, as long as the run is this driver's."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

from aflint.errors import AflintError, RunInUseError
from aflint.journal import Journal, Past
from aflint.journal.entries import ShuffleClosed, ShuffleMade
from aflint.scheduler.loop import ShuffleService
from aflint.task import ShuffleHandle


@dataclass(slots=True)
class Left:
    """What a run could not remove."""

    errors: list[AflintError] = field(default_factory=list)
    shuffles: list[ShuffleHandle] = field(default_factory=list)
    """To be closed again when the session ends: credentials that had expired may be good then."""


@dataclass(frozen=True, slots=True)
class OwnShuffles:
    """Closes the shuffles of a run, but none once another driver has taken the run over.

    What cannot be removed is noted in `left`, and not raised: the jobs of these shuffles have an
    answer, or an error of their own.
    """

    shuffles: ShuffleService
    past: Past
    journal: Journal
    left: Left = field(default_factory=Left)

    async def close(self, handle: ShuffleHandle) -> None:
        """Remove all that the shuffle left anywhere.

        The journal says so first: a driver that resumes the run from then on does not look for the
        shuffle. If another driver has resumed the run already, the shuffle belongs to that one,
        unless the journal never named it.
        """
        self.journal.record(ShuffleClosed(handle))
        if await self._is_own(handle):
            await self._try_to_close(handle)

    async def close_left(self) -> None:
        """Try once more to close the shuffles that could not be closed."""
        waiting, self.left.shuffles = self.left.shuffles, []
        self.left.errors.clear()
        for handle in waiting:
            await self._try_to_close(handle)

    async def _try_to_close(self, handle: ShuffleHandle) -> None:
        try:
            await self.shuffles.close(handle)
        except AflintError as error:
            self.left.errors.append(error)
            self.left.shuffles.append(handle)

    async def _is_own(self, handle: ShuffleHandle) -> bool:
        if self.past.refused is None:
            with suppress(RunInUseError):
                await self.journal.flush()
                return True
        # An entry that was never written names a shuffle that the other driver cannot know of.
        unwritten = (each for each in self.journal.unwritten if isinstance(each, ShuffleMade))
        return any(each.handle == handle for each in unwritten)

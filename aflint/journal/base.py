"""The seam of a journal: entries are recorded as things happen, and outlive the driver."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from aflint.errors import AflintError
from aflint.journal.entries import Entry


class Journal(ABC):
    """Takes entries in order. A driver that resumes the run finds all that was recorded before a
    `flush` that has returned, and most of what was recorded since.
    """

    def __init__(self) -> None:
        self.on_lost: Callable[[AflintError], object] = lambda error: None
        """Called once where another driver has taken the run over: this one must stop."""
        self.anew = False
        """Whether what is there is of a run that is over, whose driver was killed while it removed
        what the run had."""

    @abstractmethod
    def record(self, entry: Entry) -> None:
        """Take an entry. Does no I/O, and never raises."""

    @property
    def unwritten(self) -> Sequence[Entry]:
        """What was recorded and no driver will ever read, as another one had taken the run over."""
        return ()

    async def flush(self) -> None:
        """Return once everything recorded so far would survive the driver.

        Raises RunInUseError where another driver has taken the run over.
        """
        return None

    async def check(self) -> None:
        """Raise RunInUseError where another driver has taken the run over."""
        return None

    async def end(self) -> None:
        """Note that the run is over: to be called before all that it has is removed, so that no
        driver resumes it meanwhile. Raises RunInUseError where another driver has taken it over.
        """
        return None

    async def clear(self) -> None:
        """Remove what is there of a run that is over, once this driver has begun another."""
        return None

    async def remove(self) -> None:
        """Remove the journal, as the last of what the run has."""
        return None

    async def aclose(self) -> None:
        """Stop writing."""
        return None


class Unjournaled(Journal):
    """Keeps nothing: a run that is not to be resumed."""

    def record(self, entry: Entry) -> None:
        return None

"""The seam of a journal: entries are recorded as things happen, and outlive the driver."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from aflint.errors import AflintError
from aflint.journal.entries import Entry


class Journal(ABC):
    """Takes entries in order. What was recorded is there for a driver that resumes the run, as
    soon as `flush` has returned after it, and mostly much sooner.
    """

    def __init__(self) -> None:
        self.on_lost: Callable[[AflintError], object] = lambda error: None
        """Called once where another driver has taken the run over: this one must stop."""

    @abstractmethod
    def record(self, entry: Entry) -> None:
        """Take an entry. Never blocks for long, and never raises."""

    async def flush(self) -> None:
        """Return once everything recorded so far would survive the driver."""
        return None

    async def check(self) -> None:
        """Raise JobRunningError where another driver has taken the run over: to be asked before
        anything of it is removed.
        """
        return None

    async def aclose(self) -> None:
        """Stop writing. The journal goes with the folder that it is in."""
        return None


class Unjournaled(Journal):
    """Keeps nothing: a run that is not to be resumed."""

    def record(self, entry: Entry) -> None:
        return None

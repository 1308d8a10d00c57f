"""The seam between deciding and running: an invoker runs one attempt of one task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from aflint.task import TaskDescription, TaskResult


class Invoker(ABC):
    """Runs attempts, each exactly once."""

    @property
    @abstractmethod
    def slots(self) -> int:
        """How many attempts can run at once."""

    @abstractmethod
    async def start(self) -> None:
        """Make ready. Raises what would fail every job: other versions, no access."""

    @abstractmethod
    async def invoke(self, task: TaskDescription) -> TaskResult:
        """Run one attempt and return its result; a failure inside the task is such a result.

        Raises an AttemptError, retriable or not, if no result came back: a lost worker, a throttled
        call. Cancelling the call stops the attempt.
        """

    @property
    def places(self) -> bool:
        """Whether an attempt is run by the executor that its description names, if that is idle."""
        return False

    def drop(self, files: Sequence[str]) -> None:  # noqa: B027 - where executors are not known
        """Have executors drop what they hold in memory of cached partitions, by their files."""

    def limit(self, slots: int) -> None:  # noqa: B027 - what has no more to give keeps its slots
        """Have at most so many attempts run at once, where fewer cost less."""

    async def warm(self, count: int) -> int:
        """Start executors before they are needed; return how many were started."""
        return 0

    @abstractmethod
    async def aclose(self) -> None:
        """Stop everything that runs, and leave no process, socket or file behind."""

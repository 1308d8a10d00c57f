"""What a journal says: wire values, in the order in which things happened."""

from __future__ import annotations

from dataclasses import dataclass

from aflint.journal.rows import Row, result_of
from aflint.task import ShuffleHandle, TaskResult
from aflint.wire import wire


@wire
@dataclass(frozen=True, slots=True)
class DriverBegan:
    """A driver took the run up: the first one, or one that resumes it.

    `command` are the words it was started with, in `folder`, under `variables` (aflint's own).
    """

    aflint: str
    python: str
    command: tuple[str, ...]
    folder: str
    variables: dict[str, str]
    host: str
    process: int
    time: float


@wire
@dataclass(frozen=True, slots=True)
class JobBegan:
    """A job was started; `fingerprint` tells whether another run's job computes the same."""

    job: str
    name: str
    fingerprint: str


@wire
@dataclass(frozen=True, slots=True)
class ShuffleMade:
    """A shuffle of a job was opened, for a stage to write to."""

    stage: int
    handle: ShuffleHandle


@wire
@dataclass(frozen=True, slots=True)
class TaskAccepted:
    """A task was accepted: the results of all links of its attempt, in order, as rows.

    The value of the last is None where it was too large to be written down. What it accumulated
    `counts` unless the task had been accepted before, in this job or an earlier one.
    """

    rows: tuple[Row, ...]
    counts: bool = True

    @property
    def results(self) -> tuple[TaskResult, ...]:
        """The results that the rows stand for."""
        return tuple(result_of(row) for row in self.rows)


@wire
@dataclass(frozen=True, slots=True)
class ShuffleClosed:
    """A shuffle is about to be removed: no job will read it again."""

    handle: ShuffleHandle


@wire
@dataclass(frozen=True, slots=True)
class JobClosed:
    """A job is over, with its answer or without. Its shuffles may be kept for later jobs."""

    job: str


@wire
@dataclass(frozen=True, slots=True)
class SaveCommitted:
    """All that a saving job wrote is in its place."""

    job: str


@wire
@dataclass(frozen=True, slots=True)
class SaveAborted:
    """All that a saving job wrote is about to be removed: its tasks' parts are of no more use."""

    job: str


@wire
@dataclass(frozen=True, slots=True)
class RunEnded:
    """The run is over, and all that it has is about to be removed: what stands before this is of no
    more use.
    """


Entry = (
    DriverBegan
    | JobBegan
    | ShuffleMade
    | TaskAccepted
    | ShuffleClosed
    | JobClosed
    | SaveCommitted
    | SaveAborted
    | RunEnded
)

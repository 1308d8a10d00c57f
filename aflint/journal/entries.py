"""What a journal says: wire values, in the order in which things happened."""

from __future__ import annotations

from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, Final

from aflint.frozen import quick
from aflint.task import Blob, MapStatus, ShuffleHandle, TaskId, TaskMetrics, TaskResult
from aflint.wire import wire

MOST_VALUE_BYTES: Final = 64 * 1024
"""Larger values of results are not written down: a driver that resumes has them computed again."""

Row = tuple[Any, ...]
"""An accepted result as plain tuples, which are packed in a fifth of the time objects take."""


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
class InputListed:
    """The files that jobs read, each with its version; `id` names all of them."""

    id: str
    files: dict[str, str]


@wire
@dataclass(frozen=True, slots=True)
class JobBegan:
    """A job was started; another run's job of the same `fingerprint` computes the same.

    `program` is the fingerprint without the input, `input` the id of the files that it reads.
    """

    job: str
    name: str
    fingerprint: str
    program: str = ""
    input: str = ""


@wire
@dataclass(frozen=True, slots=True)
class ShuffleMade:
    """A shuffle of a job was opened, for a stage to write to."""

    stage: int
    handle: ShuffleHandle


@wire
@quick
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
    """A job is over: with its answer, or with an `error` of that type. Its shuffles may be kept for
    later jobs.
    """

    job: str
    error: str = ""


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
    | InputListed
    | JobBegan
    | ShuffleMade
    | TaskAccepted
    | ShuffleClosed
    | JobClosed
    | SaveCommitted
    | SaveAborted
    | RunEnded
)

_metrics = attrgetter(*(field.name for field in fields(TaskMetrics)))
_status = attrgetter(*(field.name for field in fields(MapStatus)))


def row_of(result: TaskResult) -> Row:
    """Return a result without what is of no more use: its logs, and what a link handed on."""
    id, value = result.id, result.value
    # The accepted task is written down all the same: what it accumulated has counted.
    if value is not None and value.data is not None and len(value.data) > MOST_VALUE_BYTES:
        value = None
    return (
        (id.job, id.stage, id.partition, id.attempt, id.link),
        None if value is None else (value.digest, value.size, value.data, value.location),
        tuple(map(_status, result.map_statuses)),
        result.accumulators,
        result.stored,
        _metrics(result.metrics),
    )


def result_of(row: Row) -> TaskResult:
    """Return the result of a row. Raises TypeError or ValueError for what is none."""
    id, value, statuses, accumulators, stored, metrics = row
    return TaskResult(
        TaskId(*id),
        value=None if value is None else Blob(*value),
        map_statuses=tuple(MapStatus(*each) for each in statuses),
        accumulators=accumulators,
        stored=stored,
        metrics=TaskMetrics(*metrics),
    )

"""What a job tells its listeners.

A listener is any callable that takes an event. It is called on the event loop, in order, and
must not block; an exception in it is logged and does not touch the job.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aflint.task import TaskId, TaskMetrics


@dataclass(frozen=True, slots=True)
class JobStarted:
    """A job was accepted: `stages` lists (stage id, name, number of tasks) in dependency order."""

    job: str
    name: str
    stages: tuple[tuple[int, str, int], ...]


@dataclass(frozen=True, slots=True)
class StageSkipped:
    """A stage need not run: what it writes, an earlier job left, or nothing has to read it.

    It runs all the same, and StageStarted says so, if some of what was left turns out to be lost.
    """

    job: str
    stage: int


@dataclass(frozen=True, slots=True)
class StageStarted:
    """The first task of a stage is about to run."""

    job: str
    stage: int


@dataclass(frozen=True, slots=True)
class TaskStarted:
    """One attempt was handed to the invoker; `memory_mb` is what it asks for, 0 for any."""

    id: TaskId
    speculative: bool
    memory_mb: int = 0


@dataclass(frozen=True, slots=True)
class TaskEnded:
    """One attempt ended: accepted, failed (`error` says why), or superseded by another.

    What was accepted stands in the journal a quarter of a second later. `refused`:
    it never ran, as it was throttled.
    """

    id: TaskId
    accepted: bool
    error: str
    metrics: TaskMetrics
    logs: str
    refused: bool = False


@dataclass(frozen=True, slots=True)
class TaskRecovered:
    """A task was accepted by a driver before this one, and need not run again.

    `metrics` are those of all links of its attempt.
    """

    id: TaskId
    metrics: tuple[TaskMetrics, ...]


@dataclass(frozen=True, slots=True)
class StageEnded:
    """All tasks of a stage are accepted."""

    job: str
    stage: int


@dataclass(frozen=True, slots=True)
class JobEnded:
    """The job is over; `error` is empty when it has its answer."""

    job: str
    error: str


Event = (
    JobStarted
    | StageSkipped
    | StageStarted
    | TaskStarted
    | TaskEnded
    | TaskRecovered
    | StageEnded
    | JobEnded
)
Listener = Callable[[Event], None]


def line_of(event: Event) -> str:
    """Return an event as a line of a log that begins with its ids: job/stage/partition/attempt."""
    match event:
        case JobStarted(job, name, stages):
            tasks = sum(count for _, _, count in stages)
            return f"{job} starts: {name}, {tasks} tasks in {len(stages)} stages"
        case StageSkipped(job, stage):
            return f"{job}/{stage} is skipped"
        case StageStarted(job, stage):
            return f"{job}/{stage} starts"
        case TaskStarted(id, speculative, memory_mb):
            memory = f", with {memory_mb} MB" if memory_mb else ""
            return f"{id} starts{' beside another attempt' if speculative else ''}{memory}"
        case TaskEnded(id, accepted, error, metrics, refused=refused):
            if accepted:
                return f"{id} is accepted after {metrics.seconds:.3f} s"
            first = error.partition("\n")[0]
            return f"{id} is {'throttled' if refused else 'over'}: {first or 'not needed further'}"
        case TaskRecovered(id):
            return f"{id} was accepted by an earlier driver"
        case StageEnded(job, stage):
            return f"{job}/{stage} ends"
        case JobEnded(job, error):
            first = error.partition("\n")[0]
            return f"{job} ends{f' with {first}' if first else ''}"
        case _:
            return repr(event)

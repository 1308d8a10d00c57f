"""What a run and its jobs tell their listeners.

A listener is any callable that takes an event. It is called on the event loop, in order, and
must not block; the first exception in it is logged, and none touches the job. Events bear no times:
a listener that needs them reads a clock.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from aflint.frozen import quick
from aflint.task import TaskId, TaskMetrics

_log = logging.getLogger("aflint.scheduler")  # most events are its own


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A session is open. `host` is where its tasks run: this machine's name, or the function's.

    Where `estimated`, nothing is billed: dollars are what the run would cost on Lambda. They are
    told at the prices of `region`. `settings` are the configuration's.
    """

    run: str
    name: str
    backend: str
    host: str
    estimated: bool
    memory_mb: int
    settings: Mapping[str, str]
    region: str = "us-east-1"


@dataclass(frozen=True, slots=True)
class RddInfo:
    """An RDD that a stage computes: `name` says by which method, and where in the program.

    `paths` are the files that it reads, where it is a source. What is cached is written to files;
    `in_memory` says that memory may hold it, too.
    """

    id: int
    name: str
    parents: tuple[int, ...]
    partitions: int
    cached: bool = False
    paths: tuple[str, ...] = ()
    in_memory: bool = False


@dataclass(frozen=True, slots=True)
class StageInfo:
    """A stage of a job: `parents` are the stages whose shuffles it reads.

    `rdds` are those it computes, the last one being its own. `target` is where it saves them.
    """

    id: int
    name: str
    tasks: int
    parents: tuple[int, ...] = ()
    writes_shuffle: bool = False
    rdds: tuple[RddInfo, ...] = ()
    target: str = ""


@dataclass(frozen=True, slots=True)
class Predicted:
    """What a job was predicted to cost, in dollars, and to take: what is likely."""

    dollars: float
    seconds: float


@dataclass(frozen=True, slots=True)
class PlanInfo:
    """A step of a physical plan as Spark describes it, and the steps that it reads from."""

    name: str
    text: str
    children: tuple[PlanInfo, ...] = ()

    def tree(self) -> str:
        """Return the plan as Spark writes it: a line for each step, below the one that reads it."""
        return "\n".join(self._lines("", ""))

    def _lines(self, first: str, others: str) -> Iterator[str]:
        yield first + self.text
        for child in self.children:
            last = child is self.children[-1]
            yield from child._lines(
                others + ("+- " if last else ":- "), others + ("   " if last else ":  ")
            )


@dataclass(frozen=True, slots=True)
class QueryStarted:
    """A query of SQL, or of a DataFrame, was planned; jobs that say its number run for it."""

    query: int
    name: str
    plan: PlanInfo


@dataclass(frozen=True, slots=True)
class QueryEnded:
    """A query is over; `error` is empty when it has its answer, or no more of it is wanted."""

    query: int
    error: str


@dataclass(frozen=True, slots=True)
class JobStarted:
    """A job was accepted: `stages` are in dependency order, `transport` carries its shuffles.

    `query` is the query that it runs for, if any.
    """

    job: str
    name: str
    stages: tuple[StageInfo, ...]
    transport: str = ""
    predicted: Predicted | None = None
    query: int | None = None


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
class TasksAdded:
    """A stage gets so many `tasks` more, numbered after those that it has: they combine shares of a
    skewed reduce `partition` of its shuffle.
    """

    job: str
    stage: int
    partition: int
    tasks: int


@quick
@dataclass(frozen=True, slots=True)
class TaskStarted:
    """One attempt was handed to the invoker; `memory_mb` is what it asks for, 0 for any.

    It was `queued` for so many seconds, with all that it reads there, until it had a slot.
    """

    id: TaskId
    speculative: bool
    memory_mb: int = 0
    queued: float = 0.0


@quick
@dataclass(frozen=True, slots=True)
class TaskEnded:
    """One attempt ended: accepted, failed (`error` says why), or superseded by another.

    What was accepted stands in the journal a quarter of a second later. `refused`:
    it never ran, as it was throttled. `continues`: it ended near its time limit, and its next link
    takes over. `executor` names the worker or the function's environment that ran it; empty where
    no result came back.
    """

    id: TaskId
    accepted: bool
    error: str
    metrics: TaskMetrics
    logs: str
    refused: bool = False
    continues: bool = False
    executor: str = ""


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


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The session is being left; no job runs any more."""

    run: str


Event = (
    RunStarted
    | QueryStarted
    | QueryEnded
    | JobStarted
    | StageSkipped
    | StageStarted
    | TasksAdded
    | TaskStarted
    | TaskEnded
    | TaskRecovered
    | StageEnded
    | JobEnded
    | RunEnded
)
Listener = Callable[[Event], None]


class EventStream:
    """The one place where listeners are called: with every event, in the order in which they are.

    Listeners may be added to the list, and removed from it, at any time.
    """

    def __init__(self, listeners: Sequence[Listener] = ()) -> None:
        self._listeners = listeners
        # Those that failed once: what they raise after that is not logged.
        self._failed: list[Listener] = []

    def emit(self, event: Event) -> None:
        """Call every listener; what one raises does not keep the others from being called."""
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("%s", line_of(event))
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:
                if not any(each is listener for each in self._failed):
                    self._failed.append(listener)
                    _log.exception("a listener failed at %s; later failures are not logged", event)


def line_of(event: Event) -> str:
    """Return an event as a line of a log that begins with its ids: job/stage/partition/attempt."""
    match event:
        case RunStarted(run, name, backend):
            return f"{run} opens: {name} on {backend}"
        case RunEnded(run):
            return f"{run} closes"
        case JobStarted(job, name, stages):
            tasks = sum(stage.tasks for stage in stages)
            return f"{job} starts: {name}, {tasks} tasks in {len(stages)} stages"
        case StageSkipped(job, stage):
            return f"{job}/{stage} is skipped"
        case StageStarted(job, stage):
            return f"{job}/{stage} starts"
        case TasksAdded(job, stage, partition, tasks):
            return f"{job}/{stage} gets {tasks} tasks more, to combine skewed partition {partition}"
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
        case QueryStarted(query, name):
            return f"query {query} starts: {name}"
        case QueryEnded(query, error):
            first = error.partition("\n")[0]
            return f"query {query} ends{f' with {first}' if first else ''}"
        case _:
            return repr(event)

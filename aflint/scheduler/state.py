"""What the state machine remembers: jobs, their stages, tasks and running attempts."""

from __future__ import annotations

import enum
import heapq
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from aflint.frozen import quick
from aflint.map_outputs import MapColumns
from aflint.plan.planner import Job, Stage
from aflint.scheduler.messages import NOTHING, Instruction, KeptOutput, Recovery
from aflint.scheduler.policy import Concurrency, Durations, Policy
from aflint.task import Continuation, Input, MapStatus, ShuffleHandle, TaskId, TaskResult


class TaskState(enum.StrEnum):
    """Where a wanted task stands. Once its job is ending, a task's state no longer changes."""

    WAITING = "for its stage's shuffle to open, for one that it reads to be complete, or to be read"
    READY = "queued in its job for a slot"
    BACKING_OFF = "refused by the invoker, and queued again when its timer fires"
    RUNNING = "at least one attempt runs that is not being stopped"
    ACCEPTED = "one attempt's result counts; attempts that are being stopped may still run"


MOVES: Final[Mapping[TaskState, frozenset[TaskState]]] = {
    # To WAITING again: the first of two shuffles was completed, the other is not yet.
    TaskState.WAITING: frozenset({TaskState.WAITING, TaskState.READY}),
    # To WAITING: what the task would read was lost while it was queued, or is being read.
    TaskState.READY: frozenset({TaskState.RUNNING, TaskState.WAITING}),
    TaskState.BACKING_OFF: frozenset({TaskState.READY, TaskState.WAITING}),
    # To READY or WAITING: the last attempt failed, and is retried.
    TaskState.RUNNING: frozenset(
        {TaskState.ACCEPTED, TaskState.READY, TaskState.WAITING, TaskState.BACKING_OFF}
    ),
    # To WAITING: its output was lost, or its partition is asked for a second time.
    TaskState.ACCEPTED: frozenset({TaskState.WAITING}),
}
"""How tasks may change; any other change is a fault of the scheduler."""


ReducePartition = tuple[str, int, int]
"""The job that opened a shuffle, its number in that job, and one of its reduce partitions."""


@quick
@dataclass(frozen=True, slots=True)
class StartingPoint:
    """Where one link of an attempt begins, and the links of the chain before it."""

    # What the attempt reads, manifests included. All links of a chain read the same.
    inputs: tuple[Input, ...]
    # `State.epoch` when `inputs` was put together: map output accepted later is not in them.
    epoch: int
    # Where the link before stopped; None for the first.
    continuation: Continuation | None = None
    # The results of the links before, in order. They count when the last link is accepted.
    links: tuple[TaskResult, ...] = ()


@dataclass(slots=True, eq=False)
class Attempt:
    """One link of an attempt, from its launch until the invoker has said how it ended."""

    id: TaskId
    task: TaskRun
    start: StartingPoint
    # When it was launched, in the machine's time.
    launched: float
    # It runs beside another attempt of the same task that takes too long.
    speculative: bool
    # A Stop was sent. It keeps its slot until it has ended, and nothing that it returns counts.
    stopping: bool = False
    # The reduce partitions that no other attempt may read meanwhile; see `State.reading`.
    reads: tuple[ReducePartition, ...] = ()


@dataclass(slots=True, eq=False)
class TaskRun:
    """One task that is, or was, wanted."""

    stage: StageRun
    partition: int
    # The stages whose shuffles it reads.
    reads: tuple[StageRun, ...] = ()
    # Changed by `move` alone.
    state: TaskState = TaskState.WAITING
    # When it was last queued for a slot, in the machine's time.
    ready_at: float = 0.0
    # A result of it was once delivered, here or under an earlier driver: set for good, as what its
    # accumulators added is not taken back when the task runs again.
    delivered: bool = False
    # `State.epoch` of its acceptance. A complaint about older output than this is out of date.
    epoch: int = 0
    # The number of the next attempt; it only grows, so no two attempts share one.
    attempts: int = 0
    # Attempts lost since the task was last wanted anew; bounded by `Policy.max_attempts`.
    failures: int = 0
    # Refusals in a row, for the backoff; anything else that happens to the task clears it.
    throttles: int = 0
    # How often it was run again because its output was lost; bounded by `Policy.max_fetch_rounds`.
    fetch_rounds: int = 0
    # How often it was killed at its memory limit: the next attempt gets a larger function.
    memory_kills: int = 0
    # Where the next attempt begins if a chain was lost in the middle; None: at the beginning, with
    # manifests of what is accepted by then.
    next_start: StartingPoint | None = None
    # Attempts that occupy a slot, those being stopped included.
    running: tuple[Attempt, ...] = ()

    def move(self, to: TaskState) -> None:
        """Change the state, and the count of what the stage misses with it."""
        old, accepted = self.state, TaskState.ACCEPTED
        if to not in MOVES[old]:
            raise AssertionError(f"{self} cannot go from {old.name} to {to.name}")
        self.state = to
        if to is accepted:
            self.stage.missing -= 1
        elif old is accepted:
            self.stage.missing += 1

    @property
    def accepted(self) -> bool:
        """Whether a result of the task counts."""
        return self.state is TaskState.ACCEPTED

    @property
    def lives(self) -> bool:
        """Whether an attempt runs whose result would count."""
        return any(not attempt.stopping for attempt in self.running)

    @property
    def readable(self) -> bool:
        """Whether all shuffles that the task reads are complete."""
        return not self.reads or all(parent.complete for parent in self.reads)

    def __str__(self) -> str:
        stage = self.stage
        return f"task {self.partition} of stage {stage.stage.id} of job {stage.job.id}"


@dataclass(slots=True, eq=False)
class StageRun:
    """One stage of a job: of a map stage all tasks are wanted or none."""

    stage: Stage
    job: JobRun
    # Some task reads its shuffle, so all its tasks are wanted. Not set for the result stage.
    needed: bool = False
    # An earlier driver had opened its shuffle. Set for good.
    recovered: bool = False
    # What an earlier job left of it: all that it would write. Set for good.
    kept: KeptOutput | None = None
    # Its shuffle is of no use to later jobs: frames are lost from it time and again, or an attempt
    # that could not be stopped may go on reading it, and hide its messages from others.
    suspect: bool = False
    # An OpenShuffle is under way.
    opening: bool = False
    # A CloseShuffle is under way.
    closing: bool = False
    # Where its tasks write; None before the shuffle is open and from when it is being closed.
    handle: ShuffleHandle | None = None
    # The wanted tasks by partition, made when each is first wanted and never removed.
    tasks: dict[int, TaskRun] = field(default_factory=dict)
    # How many of `tasks` are not accepted.
    missing: int = 0
    # Tasks of other stages that wait until this one is complete. A task that reads several
    # shuffles waits in one list at a time.
    waiters: list[TaskRun] = field(default_factory=list)
    # What each accepted map task wrote.
    outputs: dict[int, tuple[MapStatus, ...]] = field(default_factory=dict)
    # `outputs` as manifests are made of them; None after each change of `outputs`.
    columns: MapColumns | None = None
    # A first attempt was launched, and StageStarted emitted.
    started: bool = False
    # All tasks were accepted once, and StageEnded emitted; tasks may still be run again later.
    ended: bool = False
    # Policy allows second attempts. The three fields below stay empty otherwise.
    speculates: bool = False
    # A timer will look for stragglers.
    speculation_due: bool = False
    # Seconds that accepted attempts took.
    durations: Durations = field(default_factory=Durations)
    # First attempts that run and have no second one beside them, oldest first.
    candidates: dict[TaskId, Attempt] = field(default_factory=dict)
    # It was looked for skewed partitions of its shuffle: once, when that was first complete.
    measured: bool = False
    # By skewed reduce partition, the tasks that combine it in shares: see `aflint.scheduler.skew`.
    # They are tasks of the same stage, numbered after its own, and write the same shuffle.
    skewed: dict[int, StageRun] = field(default_factory=dict)
    # Of such tasks: the stage, and the reduce partition, whose shares they combine.
    shares_of: tuple[StageRun, int] | None = None
    # The number of the first of such tasks.
    first: int = 0
    # How many bytes the first share is made of, until it has shown whether combining pays.
    on_trial: int = 0

    @property
    def complete(self) -> bool:
        """Whether the stage's shuffle can be read."""
        return self.needed and self.handle is not None and not self.missing

    @property
    def maps(self) -> range:
        """The numbers of its tasks."""
        return range(self.first, self.stage.tasks)


@dataclass(slots=True, eq=False)
class JobRun:
    """One job that is not over."""

    job: Job
    # What an earlier driver left of it.
    recovery: Recovery = NOTHING
    # Until then, readers of that driver may hide messages of recovered shuffles.
    contested_until: float = -math.inf
    # All stages by id, in the job's order: parents before children.
    stages: dict[int, StageRun] = field(default_factory=dict)
    # The stages that write a shuffle, by the shuffle's id.
    writers: dict[int, StageRun] = field(default_factory=dict)
    # A ShufflesRequested is not answered yet.
    awaits_shuffles: bool = False
    # READY tasks, next one first.
    ready: deque[TaskRun] = field(default_factory=deque)
    # READY tasks, too, by the executor that is said to hold what they read. No deque is empty.
    placed: dict[str, deque[TaskRun]] = field(default_factory=dict)
    # Tasks that may get a second attempt when nothing is ready; checked again when taken.
    backups: deque[TaskRun] = field(default_factory=deque)
    # Attempts that occupy a slot, in the order of their launch: a set that keeps its order.
    running: dict[Attempt, None] = field(default_factory=dict)
    # Failed, cancelled or released: nothing of it is launched any more. Set for good.
    ending: bool = False
    # Why it is ending, for the JobEnded event; empty if it gave all that was wanted.
    error: str = ""

    @property
    def id(self) -> str:
        """The job's id."""
        return self.job.id

    @property
    def runs(self) -> Iterator[StageRun]:
        """All stages, and what combines their skewed partitions."""
        for stage in self.stages.values():
            yield stage
            yield from stage.skewed.values()

    @property
    def result(self) -> StageRun:
        """The stage whose partitions are asked for."""
        return self.stages[self.job.result_stage.id]


class Timers:
    """A heap of callbacks by time. Those due at the same time run in the order they were set."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._announced: float | None = None

    def at(self, time: float, action: Callable[[], None]) -> None:
        """Have `action` done by the first `due` at or after `time`."""
        self._count += 1
        heapq.heappush(self._heap, (time, self._count, action))

    def due(self, now: float) -> Iterator[Callable[[], None]]:
        """Yield, and forget, what is due."""
        while self._heap and self._heap[0][0] <= now:
            yield heapq.heappop(self._heap)[2]

    def fired(self) -> None:
        """Note that the announced time has come."""
        self._announced = None

    def announce(self) -> float | None:
        """Return the next time to wake at if that is sooner than what was announced."""
        if not self._heap:
            return None
        first = self._heap[0][0]
        if self._announced is not None and self._announced <= first:
            return None
        self._announced = first
        return first


@dataclass(slots=True, eq=False)
class State:
    """All that the state machine remembers."""

    policy: Policy
    # Slots, ramp and throttling; counts what runs.
    concurrency: Concurrency
    # The time of the stimulus at hand; never goes back.
    now: float = 0.0
    # How many results were accepted so far: the machine's logical clock.
    epoch: int = 0
    # A timer is set for when the ramp lets more in.
    ramping: bool = False
    # The jobs that are not over, by id.
    jobs: dict[str, JobRun] = field(default_factory=dict)
    # Every attempt that occupies a slot.
    attempts: dict[TaskId, Attempt] = field(default_factory=dict)
    # The reduce partitions that an attempt reads, with the tasks that wait for its end, in order.
    # Empty where several may read one at once: see `Policy.rereadable`.
    reading: dict[ReducePartition, list[TaskRun]] = field(default_factory=dict)
    # The jobs that have something to launch, next one first.
    turns: dict[str, JobRun] = field(default_factory=dict)
    # The invoker can be told which executor is to run an attempt. The two fields below stay empty
    # otherwise.
    places: bool = False
    # By the file of a cached partition, the executor that last read or wrote it. It may have
    # dropped it since.
    holders: dict[str, str] = field(default_factory=dict)
    # Executors that run nothing, as far as is known, the one used last at the end.
    idle: dict[str, None] = field(default_factory=dict)
    timers: Timers = field(default_factory=Timers)
    # The instructions of the stimulus at hand, in order.
    out: list[Instruction] = field(default_factory=list)

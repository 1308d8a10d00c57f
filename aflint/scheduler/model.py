"""What the state machine remembers: jobs, their stages, tasks and running attempts."""

from __future__ import annotations

import math
from array import array
from collections import deque
from dataclasses import dataclass, field

from aflint.plan import Job, ShuffleRead, Stage
from aflint.scheduler.concurrency import Concurrency
from aflint.scheduler.instructions import Instruction
from aflint.scheduler.policy import Policy
from aflint.scheduler.recovery import NOTHING, Recovery
from aflint.scheduler.timers import Timers
from aflint.task import (
    Continuation,
    Input,
    MapStatus,
    ShuffleHandle,
    TaskId,
    TaskResult,
)


@dataclass(frozen=True, slots=True)
class Chain:
    """How far one attempt of a task came: the links behind it, and what it was given to read.

    `stamp` is the time, in acceptances, at which `inputs` was put together: a map output accepted
    later is not what its manifests name.
    """

    inputs: tuple[Input, ...]
    stamp: int
    continuation: Continuation | None = None
    links: tuple[TaskResult, ...] = ()

    @property
    def link(self) -> int:
        """The number of the link that comes next."""
        return len(self.links)


@dataclass(slots=True, eq=False)
class Attempt:
    """One attempt that occupies a slot."""

    id: TaskId
    task: TaskRun
    chain: Chain
    started: float
    speculative: bool
    stopping: bool = False


@dataclass(slots=True, eq=False)
class TaskRun:
    """One task that is, or was, wanted.

    `pending`: it waits for a slot, for a shuffle or for a backoff to end. `accepted`: the number
    of the accepted attempt, or -1. `stamp`: when that was, in acceptances.
    """

    stage: StageRun
    partition: int
    reads: tuple[StageRun, ...] = ()
    pending: bool = False
    accepted: int = -1
    delivered: bool = False
    stamp: int = 0
    attempts: int = 0
    failures: int = 0
    throttles: int = 0
    memory_kills: int = 0
    chain: Chain | None = None
    running: list[Attempt] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class StageRun:
    """One stage of a job: of a map stage all tasks are wanted or none.

    `missing` counts the wanted tasks that are not accepted. `waiters` are tasks of other stages
    that wait until this one is complete. `recovered`: its shuffle was there before the job began.
    `durations`, ascending, and `candidates`, oldest first,
    are kept only where policy may speculate.
    """

    stage: Stage
    job: JobRun
    needed: bool = False
    recovered: bool = False
    opening: bool = False
    closing: bool = False
    handle: ShuffleHandle | None = None
    tasks: dict[int, TaskRun] = field(default_factory=dict)
    missing: int = 0
    waiters: list[TaskRun] = field(default_factory=list)
    outputs: dict[int, tuple[MapStatus, ...]] = field(default_factory=dict)
    columns: list[tuple[MapStatus, memoryview, memoryview]] | None = None
    started: bool = False
    ended: bool = False
    fetch_rounds: int = 0
    speculates: bool = False
    speculation_due: bool = False
    durations: array[float] = field(default_factory=lambda: array("d"))
    candidates: dict[TaskId, Attempt] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether the stage's shuffle can be read."""
        return self.needed and self.handle is not None and not self.missing


@dataclass(slots=True, eq=False)
class JobRun:
    """One job that is not over. `ending`: nothing of it is launched any more.

    Until `contested_until`, readers of a driver that was killed may hide messages of the shuffles
    that were recovered.
    """

    job: Job
    recovery: Recovery = NOTHING
    contested_until: float = -math.inf
    stages: dict[int, StageRun] = field(default_factory=dict)
    writers: dict[int, StageRun] = field(default_factory=dict)
    ready: deque[TaskRun] = field(default_factory=deque)
    backups: deque[TaskRun] = field(default_factory=deque)
    running: dict[TaskId, Attempt] = field(default_factory=dict)
    ending: bool = False
    error: str = ""

    @property
    def id(self) -> str:
        """The job's id."""
        return self.job.id

    @property
    def result(self) -> StageRun:
        """The stage whose partitions are asked for."""
        return self.stages[self.job.result_stage.id]


@dataclass(slots=True, eq=False)
class Memory:
    """All that the state machine remembers, and the instructions of the stimulus at hand.

    `turns`: the jobs that have something to launch, next one first.
    """

    policy: Policy
    concurrency: Concurrency
    now: float = 0.0
    stamp: int = 0
    ramping: bool = False
    jobs: dict[str, JobRun] = field(default_factory=dict)
    attempts: dict[TaskId, Attempt] = field(default_factory=dict)
    turns: dict[str, JobRun] = field(default_factory=dict)
    timers: Timers = field(default_factory=Timers)
    out: list[Instruction] = field(default_factory=list)


def new_job(job: Job, policy: Policy, recovery: Recovery, now: float) -> JobRun:
    """Return the record of a job of which nothing runs yet."""
    run = JobRun(job, recovery, now + recovery.readers_s)
    for stage in job.stages:
        speculates = policy.speculates(reads_shuffle=bool(stage.parents))
        record = run.stages[stage.id] = StageRun(stage, run, speculates=speculates)
        if stage.writes is not None:
            run.writers[stage.writes.shuffle] = record
            record.handle = recovery.handles.get(stage.writes.shuffle)
            record.recovered = record.handle is not None
    return run


def wanted_task(stage: StageRun, partition: int) -> TaskRun:
    """Return the record of a task, made when it is first wanted."""
    task = stage.tasks.get(partition)
    if task is None:
        task = stage.tasks[partition] = TaskRun(stage, partition, _reads(stage, partition))
        recovery, place = stage.job.recovery, (stage.stage.id, partition)
        task.attempts = recovery.first_attempt
        task.delivered = place in recovery.delivered
        links = recovery.results.get(place)
        if links is not None and is_there(stage, links):
            task.accepted = links[-1].id.attempt
            if stage.stage.writes is not None:
                stage.outputs[partition] = statuses_of(links)
        else:
            stage.missing += 1
    return task


def statuses_of(links: tuple[TaskResult, ...]) -> tuple[MapStatus, ...]:
    """Return the map statuses of all links of a chained attempt, each once, in order."""
    found: dict[tuple[int, int, int], MapStatus] = {}
    for result in links:
        carried = result.continuation.statuses if result.continuation else ()
        for status in (*carried, *result.map_statuses):
            found[status.map, status.attempt, status.link] = status
    return tuple(found.values())


def is_there(stage: StageRun, links: tuple[TaskResult, ...]) -> bool:
    """Say whether what a task came to before can still be used."""
    if stage.stage.writes is None:
        return links[-1].value is not None
    return stage.recovered


def _reads(stage: StageRun, partition: int) -> tuple[StageRun, ...]:
    if not stage.stage.parents:
        return ()
    splits = (each.split for each in stage.stage.inputs[partition])
    shuffles = dict.fromkeys(split.shuffle for split in splits if type(split) is ShuffleRead)
    return tuple(stage.job.writers[shuffle] for shuffle in shuffles)

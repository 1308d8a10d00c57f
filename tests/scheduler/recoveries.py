"""What a driver before this one may have left of a job, at random."""

from __future__ import annotations

from random import Random

from aflint.plan.planner import Job, Stage
from aflint.scheduler.messages import GENERATION_BITS, Recovery
from aflint.task import (
    Continuation,
    InSource,
    MapStatus,
    ShuffleHandle,
    TaskDescription,
    TaskId,
    TaskResult,
)
from aflint.testing import succeeded

READERS_S = 200.0
Links = tuple[TaskResult, ...]


def any_recovery(job: Job, random: Random) -> Recovery:
    """Return what is left: of each stage all, some or none of the tasks, of each shuffle all or
    nothing, of some results no value; some tasks are only known to have been counted.
    """
    generation = random.randint(1, 3)
    handles: dict[int, ShuffleHandle] = {}
    results: dict[tuple[int, int], Links] = {}
    delivered = set()
    for stage in job.stages:
        if stage.writes is not None and random.random() < 0.7:
            handles[stage.writes.shuffle] = _handle(job, stage)
        done = random.choice([0.0, 0.5, 1.0, 1.0])
        for partition in range(stage.tasks):
            if random.random() < done:
                delivered.add((stage.id, partition))
                if random.random() < 0.9:
                    results[stage.id, partition] = _links(job, stage, partition, generation, random)
    readers_s = random.choice([0.0, READERS_S])
    return Recovery(generation, handles, results, frozenset(delivered), readers_s)


def is_usable(job: Job, recovery: Recovery, place: tuple[int, int]) -> bool:
    """Say whether a task need not run, as what it came to is there: its value, or its output."""
    stage = next(stage for stage in job.stages if stage.id == place[0])
    if stage.writes is None:
        return recovery.results[place][-1].value is not None
    return stage.writes.shuffle in recovery.handles


def _handle(job: Job, stage: Stage) -> ShuffleHandle:
    assert stage.writes is not None
    shuffle = stage.writes.shuffle
    return ShuffleHandle(job.id, shuffle, stage.writes.partitions, f"{job.id}/{shuffle} of before")


def _links(job: Job, stage: Stage, partition: int, generation: int, random: Random) -> Links:
    driver, number = random.randrange(generation), random.randrange(3)
    attempt = (driver << GENERATION_BITS) + number
    output = _handle(job, stage) if stage.writes is not None else None
    links: list[TaskResult] = []
    written: tuple[MapStatus, ...] = ()
    for link in range(last := random.choice([0, 0, 1, 2])):
        id = TaskId(job.id, stage.id, partition, attempt, link)
        written = succeeded(TaskDescription(id, stage.program, (), output)).map_statuses
        links.append(
            TaskResult(id, map_statuses=written, continuation=Continuation(InSource(link)))
        )
    id = TaskId(job.id, stage.id, partition, attempt, last)
    if stage.writes is None and random.random() < 0.2:
        return (*links, TaskResult(id))  # its value was too large to be written down
    return (*links, succeeded(TaskDescription(id, stage.program, (), output)))

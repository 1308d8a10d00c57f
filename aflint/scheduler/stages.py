"""Which stages run for the partitions that are wanted, and when a shuffle can be read."""

from __future__ import annotations

from collections.abc import Iterable

from aflint import events
from aflint.scheduler.instructions import Emit, OpenShuffle, PartitionDone
from aflint.scheduler.model import JobRun, Memory, StageRun, TaskRun, wanted_task
from aflint.scheduler.queues import admit, release_waiters
from aflint.task import ShuffleHandle


def request(memory: Memory, job: JobRun, partitions: Iterable[int]) -> None:
    """Have partitions of the result stage computed, and before them what they read."""
    stage = job.result
    tasks = []
    for partition in dict.fromkeys(partitions):
        if not 0 <= partition < stage.stage.tasks:
            continue
        known = stage.tasks.get(partition)
        if known is None:
            known = wanted_task(stage, partition)
            if known.accepted >= 0:
                links = job.recovery.results[stage.stage.id, partition]
                memory.out.append(PartitionDone(job.id, partition, links[-1]))
                if not stage.missing:
                    completed(memory, stage)
                continue
        elif known.accepted >= 0:
            _forget(known)
        else:
            continue
        tasks.append(known)
    _need(memory, job, tasks)
    for task in tasks:
        admit(memory, task)


def opened(memory: Memory, stage: StageRun, handle: ShuffleHandle) -> None:
    """Run all tasks of a map stage, now that there is somewhere to write to."""
    stage.handle = handle
    if stage.complete:
        completed(memory, stage)
    for task in stage.tasks.values():
        if task.accepted < 0:
            admit(memory, task)


def completed(memory: Memory, stage: StageRun) -> None:
    """Let those run who waited for the stage, whose wanted tasks are all accepted."""
    if len(stage.tasks) == stage.stage.tasks and not stage.ended:
        stage.ended = True
        memory.out.append(Emit(events.StageEnded(stage.job.id, stage.stage.id)))
    release_waiters(memory, stage.waiters)


def rerun_maps(memory: Memory, stage: StageRun, maps: Iterable[int], stamp: int) -> bool:
    """Run map tasks again whose output was lost, unless newer output than `stamp` is there.

    Returns whether the stage has been through more such rounds than policy allows.
    """
    known = (stage.tasks.get(partition) for partition in dict.fromkeys(maps))
    lost = [task for task in known if task and task.accepted >= 0 and task.stamp <= stamp]
    if lost and stage.complete:
        stage.fetch_rounds += 1
    if stage.fetch_rounds > memory.policy.max_fetch_rounds:
        return True
    for task in lost:
        _forget(task)
    _need(memory, stage.job, lost)
    for task in lost:
        admit(memory, task, first=True)
    return False


def _forget(task: TaskRun) -> None:
    task.accepted = -1
    task.failures = 0
    task.chain = None
    task.stage.missing += 1
    task.stage.outputs.pop(task.partition, None)


def _need(memory: Memory, job: JobRun, tasks: list[TaskRun]) -> None:
    """Open the shuffles that `tasks` read, directly or not, in the job's order of stages.

    What was recovered is not opened, nor is what only accepted tasks read.
    """
    found: dict[int, StageRun] = {}
    waiting = [parent for task in tasks for parent in task.reads if not parent.needed]
    while waiting:
        stage = waiting.pop()
        if stage.needed:
            continue
        stage.needed = True
        found[stage.stage.id] = stage
        for partition in range(stage.stage.tasks):
            task = wanted_task(stage, partition)
            if task.accepted < 0:
                waiting.extend(p for p in task.reads if not p.needed)
    for stage in [job.stages[id] for id in job.stages if id in found]:
        writes = stage.stage.writes
        if stage.handle is not None:
            opened(memory, stage, stage.handle)
        elif writes is not None:
            stage.opening = True
            memory.out.append(OpenShuffle(job.id, writes.shuffle, writes.partitions))

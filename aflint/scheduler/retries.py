"""What follows from a failed attempt: another one, map tasks run again, or the end of the job."""

from __future__ import annotations

from aflint import errors
from aflint.scheduler.ending import fail
from aflint.scheduler.failures import Loss, exhausted, refetched_too_often
from aflint.scheduler.model import Attempt, Memory, TaskRun
from aflint.scheduler.policy import Verdict
from aflint.scheduler.queues import admit
from aflint.scheduler.stages import rerun_maps


def retry(memory: Memory, attempt: Attempt, loss: Loss) -> None:
    """Do what policy says about the failure of an attempt that has left its slot."""
    verdict = memory.policy.judge(loss.kind)
    if verdict is Verdict.FAIL:
        fail(memory, attempt.task.stage.job, loss.cause)
    elif verdict is Verdict.LATER:
        _later(memory, attempt)
    elif verdict is Verdict.REFETCH and _names_maps(attempt, loss):
        _refetch(memory, attempt, loss)
    else:
        _again(memory, attempt, loss)


def _again(memory: Memory, attempt: Attempt, loss: Loss) -> None:
    task, job = attempt.task, attempt.task.stage.job
    task.failures += 1
    task.throttles = 0
    if issubclass(loss.kind, errors.OutOfMemoryError):
        task.memory_kills += 1
    if task.failures < memory.policy.max_attempts:
        task.chain = attempt.chain if attempt.chain.links else None
        _requeue(memory, task)
    elif issubclass(loss.kind, errors.TaskError):
        fail(memory, job, loss.cause)
    else:
        fail(memory, job, exhausted(loss, attempt.id, task.stage.stage.name, task.failures))


def _later(memory: Memory, attempt: Attempt) -> None:
    task, id = attempt.task, attempt.id
    task.throttles += 1
    if _lives(task):
        return
    task.chain = attempt.chain if attempt.chain.links else None
    task.pending = True
    salt = f"{id.job}/{id.stage}/{id.partition}"
    due = memory.now + memory.policy.backoff(task.throttles, salt)
    memory.timers.at(due, lambda: _readmit(memory, task))


def _refetch(memory: Memory, attempt: Attempt, loss: Loss) -> None:
    """Have the lost map outputs made again; the task starts over, with a new manifest.

    Where a reader of a driver that was killed may hide them, they are waited for once more.
    """
    task, job = attempt.task, attempt.task.stage.job
    shuffle, maps = loss.lost_maps
    source = job.writers[shuffle]
    if loss.waited and source.recovered and memory.now < job.contested_until:
        _later(memory, attempt)
        return
    if rerun_maps(memory, source, maps, attempt.chain.stamp):
        rounds = memory.policy.max_fetch_rounds
        fail(memory, job, refetched_too_often(loss, shuffle, source.stage.name, rounds))
        return
    task.chain = None
    task.throttles = 0
    _requeue(memory, task)


def _names_maps(attempt: Attempt, loss: Loss) -> bool:
    """Say whether the failure names outputs that the attempt was told to read."""
    shuffle, maps = loss.lost_maps
    source = attempt.task.stage.job.writers.get(shuffle)
    if source is None or source not in attempt.task.reads or not maps:
        return False
    return all(0 <= each < source.stage.tasks for each in maps)


def _requeue(memory: Memory, task: TaskRun) -> None:
    if not _lives(task):
        admit(memory, task, first=True)


def _readmit(memory: Memory, task: TaskRun) -> None:
    if not task.stage.job.ending:
        admit(memory, task, first=True)


def _lives(task: TaskRun) -> bool:
    return any(not attempt.stopping for attempt in task.running)

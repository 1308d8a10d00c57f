"""How a job comes to its end: stop what runs, close what is open, and only then it is over."""

from __future__ import annotations

from aflint import events
from aflint.scheduler.failures import Loss
from aflint.scheduler.instructions import CloseShuffle, Emit, FailJob, JobOver, Stop
from aflint.scheduler.model import Attempt, JobRun, Memory, StageRun
from aflint.task import TaskFailure


def fail(memory: Memory, job: JobRun, error: TaskFailure | Exception) -> None:
    """Fail a job, unless it is ending already."""
    if job.ending:
        return
    memory.out.append(FailJob(job.id, error))
    end(memory, job, Loss(error).text)


def end(memory: Memory, job: JobRun, error: str) -> None:
    """Launch nothing more of a job and stop what runs."""
    if job.ending:
        return
    job.ending = True
    job.error = error
    job.ready.clear()
    job.backups.clear()
    memory.turns.pop(job.id, None)
    for stage in job.stages.values():
        stage.waiters.clear()
        stage.candidates.clear()
    for attempt in list(job.running.values()):
        stop(memory, attempt)
    settle(memory, job)


def stop(memory: Memory, attempt: Attempt) -> None:
    """Stop an attempt; it keeps its slot until it has ended."""
    if not attempt.stopping:
        attempt.stopping = True
        memory.out.append(Stop(attempt.id))


def settle(memory: Memory, job: JobRun) -> None:
    """Take an ending job as far as it can go now."""
    if not job.ending or job.running or memory.jobs.get(job.id) is not job:
        return
    stages = job.writers.values()
    for stage in stages:
        _close(memory, stage)
    if any(stage.opening or stage.closing for stage in stages):
        return
    del memory.jobs[job.id]
    memory.out.append(Emit(events.JobEnded(job.id, job.error)))
    memory.out.append(JobOver(job.id))


def _close(memory: Memory, stage: StageRun) -> None:
    writes = stage.stage.writes
    if stage.handle is None or writes is None:
        return
    memory.out.append(CloseShuffle(stage.job.id, writes.shuffle, stage.handle))
    stage.handle = None
    stage.closing = True

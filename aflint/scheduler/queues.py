"""Who is next: jobs take turns, and inside a job first come, first served."""

from __future__ import annotations

from aflint.scheduler.model import JobRun, Memory, TaskRun


def admit(memory: Memory, task: TaskRun, *, first: bool = False) -> None:
    """Queue a task for a slot, or have it wait for the first shuffle that it cannot read yet.

    `first` puts it before those that are queued: one that ran already holds others up.
    """
    task.pending = True
    for parent in task.reads:
        if not parent.complete:
            parent.waiters.append(task)
            return
    job = task.stage.job
    if first:
        job.ready.appendleft(task)
    else:
        job.ready.append(task)
    memory.turns.setdefault(job.id, job)


def admit_backup(memory: Memory, task: TaskRun) -> None:
    """Queue a second attempt of a running task, for when its job has nothing else to run."""
    job = task.stage.job
    job.backups.append(task)
    memory.turns.setdefault(job.id, job)


def release_waiters(memory: Memory, waiters: list[TaskRun]) -> None:
    """Queue again the tasks that waited for a shuffle which is now complete."""
    tasks = waiters[:]
    waiters.clear()
    for task in tasks:
        admit(memory, task)


def take_next(memory: Memory) -> tuple[TaskRun, bool] | None:
    """Remove and return the next task to launch, and whether it is a second attempt."""
    while memory.turns:
        job = next(iter(memory.turns.values()))
        del memory.turns[job.id]
        found = _take(memory, job)
        if job.ready or job.backups:
            memory.turns[job.id] = job
        if found is not None:
            return found
    return None


def _take(memory: Memory, job: JobRun) -> tuple[TaskRun, bool] | None:
    while job.ready:
        task = job.ready.popleft()
        if all(parent.complete for parent in task.reads):
            task.pending = False
            return task, False
        admit(memory, task)
    while job.backups:
        task = job.backups.popleft()
        readable = all(parent.complete for parent in task.reads)
        if task.accepted < 0 and len(task.running) == 1 and readable:
            return task, True
    return None

"""Who is next: jobs take turns, in a job first come, first served, and stragglers come last."""

from __future__ import annotations

from collections import deque

from aflint.plan.planner import ManifestOf
from aflint.scheduler.placement import holder_of, next_placed
from aflint.scheduler.state import (
    Attempt,
    JobRun,
    ReducePartition,
    StageRun,
    State,
    TaskRun,
    TaskState,
)


def admit(state: State, task: TaskRun, *, first: bool = False) -> None:
    """Queue a task for a slot, or have it wait for the first shuffle that it cannot read yet.

    `first` puts it before those that are queued: one that ran already holds others up.
    """
    for parent in task.reads:
        if not parent.complete:
            task.move(TaskState.WAITING)
            parent.waiters.append(task)
            return
    task.move(TaskState.READY)
    task.ready_at = state.now
    job = task.stage.job
    if first:
        job.ready.appendleft(task)
    elif state.holders and (holder := holder_of(state, task)):
        job.placed.setdefault(holder, deque()).append(task)
    else:
        job.ready.append(task)
    state.turns.setdefault(job.id, job)


def release_waiters(state: State, stage: StageRun) -> None:
    """Queue the tasks that waited for a shuffle which is now complete."""
    # Emptied first: a task that reads another shuffle as well goes on to wait for that one.
    tasks, stage.waiters = stage.waiters, []
    for task in tasks:
        admit(state, task)


# Where only one attempt at a time may read a partition of a shuffle, the others wait for it: two
# readers of a queue would hide its messages from each other.


def begin_reading(state: State, attempt: Attempt) -> None:
    """Reserve what an attempt reads."""
    attempt.reads = _exclusive_reads(state, attempt.task)
    for each in attempt.reads:
        state.reading.setdefault(each, [])


def end_reading(state: State, attempt: Attempt) -> None:
    """Queue the tasks that waited for what an attempt read."""
    waiting = [task for each in attempt.reads for task in state.reading.pop(each)]
    for task in waiting:
        if not task.stage.job.ending:
            admit(state, task, first=True)


def _wait_to_read(state: State, task: TaskRun) -> bool:
    """Have a task wait if what it reads is being read; returns whether it has to."""
    for each in _exclusive_reads(state, task):
        if each in state.reading:
            task.move(TaskState.WAITING)
            state.reading[each].append(task)
            return True
    return False


def _exclusive_reads(state: State, task: TaskRun) -> tuple[ReducePartition, ...]:
    # Shares of a skewed partition lie in objects, as a whole: no queue is read for them.
    if state.policy.rereadable or not task.reads or task.stage.shares_of is not None:
        return ()
    writers = task.stage.job.writers
    found: dict[ReducePartition, None] = {}
    for item in task.stage.stage.inputs[task.partition]:
        if type(item.split) is ManifestOf and (handle := writers[item.split.shuffle].handle):
            found[handle.job, handle.shuffle, item.split.of(item.partition)] = None
    return tuple(found)


def take_next(state: State) -> tuple[TaskRun, bool] | None:
    """Remove and return the next task to launch, and whether it is a second attempt."""
    while state.turns:
        job = next(iter(state.turns.values()))
        # Filed again at the end, so that the next turn is another job's.
        del state.turns[job.id]
        found = _take(state, job)
        if job.ready or job.placed or job.backups:
            state.turns[job.id] = job
        if found is not None:
            return found
    return None


def _take(state: State, job: JobRun) -> tuple[TaskRun, bool] | None:
    while job.ready or job.placed:
        task = job.ready.popleft() if job.ready else next_placed(state, job)
        if not task.readable:
            admit(state, task)  # output that it reads was lost while it was queued
        elif not _wait_to_read(state, task):
            return task, False
    while job.backups:
        task = job.backups.popleft()
        # Much may have happened to it since it was found to be a straggler.
        if task.state is TaskState.RUNNING and len(task.running) == 1 and task.readable:
            return task, True
    return None


# A task that takes much longer than its siblings is run a second time beside the first attempt.
# The oldest attempt becomes a straggler first, so that one timer for each stage is enough.


def watch(state: State, attempt: Attempt) -> None:
    """Take an attempt that was just launched for a straggler to be."""
    stage = attempt.task.stage
    if stage.speculates and not attempt.speculative:
        stage.candidates[attempt.id] = attempt
        _schedule(state, stage)


def learn(state: State, attempt: Attempt) -> None:
    """Note how long an accepted attempt took."""
    stage = attempt.task.stage
    if stage.speculates:
        stage.durations.add(state.now - attempt.launched)
        _schedule(state, stage)


def _schedule(state: State, stage: StageRun) -> None:
    """Look again when the oldest attempt will have become a straggler."""
    if stage.speculation_due or not stage.candidates:
        return
    age = state.policy.straggles_after(stage.durations, len(stage.tasks))
    if age is None:
        return
    stage.speculation_due = True
    oldest = next(iter(stage.candidates.values()))
    state.timers.at(oldest.launched + age, lambda: _look(state, stage))


def _look(state: State, stage: StageRun) -> None:
    """Queue second attempts for the stragglers; the rest, being younger, is not looked at."""
    stage.speculation_due = False
    age = state.policy.straggles_after(stage.durations, len(stage.tasks))
    job = stage.job
    while stage.candidates and age is not None:
        oldest = next(iter(stage.candidates.values()))
        if oldest.launched + age > state.now:
            break
        del stage.candidates[oldest.id]
        job.backups.append(oldest.task)
        state.turns.setdefault(job.id, job)
    _schedule(state, stage)

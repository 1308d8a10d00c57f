"""Where tasks go: to the executor that holds the cached partition which they read.

It is a preference. An executor that is idle takes a task of its own first, and else one of the
executor that has most of them left; nothing waits for an executor that is busy, or gone.
"""

from __future__ import annotations

from aflint.scheduler.state import Attempt, JobRun, State, TaskRun
from aflint.task import BlocksSplit, TaskResult


def ended(state: State, attempt: Attempt, result: TaskResult) -> None:
    """Note that the executor of an attempt is idle, and holds what the attempt read or stored."""
    if not result.executor:
        return
    state.idle[result.executor] = None
    if result.failure is None:
        read = [item.split for item in attempt.start.inputs]
        for split in (*read, *(split for _, _, split in result.stored)):
            if type(split) is BlocksSplit and split.held:
                state.holders[split.path] = result.executor


def holder_of(state: State, task: TaskRun) -> str:
    """Return the executor that is said to hold what a task reads, or ""."""
    for item in task.stage.stage.inputs[task.partition]:
        split = item.split
        if type(split) is BlocksSplit and split.path in state.holders:
            return state.holders[split.path]
    return ""


def executor_for(state: State, task: TaskRun) -> str:
    """Choose one of the executors that are known to be idle for a task that is launched: its
    holder, or the one used last.
    """
    holder = holder_of(state, task)
    found = holder if holder in state.idle else next(reversed(state.idle))
    del state.idle[found]
    return found


def next_placed(state: State, job: JobRun) -> TaskRun:
    """Remove and return the next of a job's READY tasks whose holders are known."""
    own = next((executor for executor in reversed(state.idle) if executor in job.placed), None)
    if own is not None:
        executor, task = own, job.placed[own].popleft()
    else:
        # From the end: its holder goes on with those at the beginning.
        executor = max(job.placed, key=lambda each: len(job.placed[each]))
        task = job.placed[executor].pop()
    if not job.placed[executor]:
        del job.placed[executor]
    return task

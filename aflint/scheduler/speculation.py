"""When a task that takes much longer than its siblings is run a second time beside the first."""

from __future__ import annotations

from bisect import insort

from aflint.scheduler.model import Attempt, Memory, StageRun
from aflint.scheduler.queues import admit_backup


def watch(memory: Memory, attempt: Attempt) -> None:
    """Consider an attempt that was just launched."""
    stage = attempt.task.stage
    if stage.speculates and not attempt.speculative:
        stage.candidates[attempt.id] = attempt
        _schedule(memory, stage)


def learn(memory: Memory, attempt: Attempt) -> None:
    """Take in how long an accepted attempt took."""
    stage = attempt.task.stage
    if stage.speculates:
        insort(stage.durations, memory.now - attempt.started)
        _schedule(memory, stage)


def _schedule(memory: Memory, stage: StageRun) -> None:
    """Look again when the oldest attempt will have become a straggler."""
    if stage.speculation_due or not stage.candidates:
        return
    age = memory.policy.straggles_after(stage.durations, len(stage.tasks))
    if age is None:
        return
    stage.speculation_due = True
    oldest = next(iter(stage.candidates.values()))
    memory.timers.at(oldest.started + age, lambda: _look(memory, stage))


def _look(memory: Memory, stage: StageRun) -> None:
    """Queue second attempts for the stragglers; the rest, being younger, is not looked at."""
    stage.speculation_due = False
    age = memory.policy.straggles_after(stage.durations, len(stage.tasks))
    while stage.candidates and age is not None:
        oldest = next(iter(stage.candidates.values()))
        if oldest.started + age > memory.now:
            break
        del stage.candidates[oldest.id]
        admit_backup(memory, oldest.task)
    _schedule(memory, stage)

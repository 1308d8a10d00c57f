"""The scheduler's state machine: stimuli in, instructions out; no clock, no asyncio, no I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aflint import events
from aflint.scheduler import attempts, stages
from aflint.scheduler.concurrency import Concurrency
from aflint.scheduler.ending import end, fail, settle
from aflint.scheduler.instructions import Emit, Instruction, WakeAt
from aflint.scheduler.invariants import check
from aflint.scheduler.model import Memory, StageRun, is_there, new_job
from aflint.scheduler.policy import Policy
from aflint.scheduler.queues import take_next
from aflint.scheduler.stimuli import (
    AttemptEnded,
    AttemptLost,
    AttemptStopped,
    JobCancelled,
    JobReleased,
    JobSubmitted,
    PartitionsRequested,
    ShuffleClosed,
    ShuffleOpened,
    ShuffleOpenFailed,
    SlotsChanged,
    Stimulus,
    Tick,
)


class SchedulerState:
    """All jobs of a session.

    Work for one stimulus does not grow with the number of tasks: each is touched when it is first
    wanted, launched, ended and, where it reads a shuffle, when that is complete. Stimuli about
    jobs, attempts and shuffles that are unknown, over or repeated change nothing.
    """

    def __init__(self, policy: Policy | None = None, slots: int = 1) -> None:
        policy = policy or Policy()
        self._memory = Memory(policy, Concurrency(policy, slots))
        self._handlers: dict[type, Callable[[Any], None]] = {
            JobSubmitted: self._job_submitted,
            PartitionsRequested: self._partitions_requested,
            ShuffleOpened: self._shuffle_opened,
            ShuffleOpenFailed: self._shuffle_open_failed,
            ShuffleClosed: self._shuffle_closed,
            AttemptEnded: lambda s: attempts.ended(self._memory, s.result),
            AttemptLost: lambda s: attempts.lost(self._memory, s.id, s.error),
            AttemptStopped: lambda s: attempts.stopped(self._memory, s.id),
            JobCancelled: lambda s: self._fail(s.job, s.error),
            JobReleased: self._job_released,
            SlotsChanged: self._slots_changed,
            Tick: lambda s: self._memory.timers.fired(),
        }

    @property
    def running(self) -> int:
        """How many attempts occupy a slot."""
        return self._memory.concurrency.running

    @property
    def jobs(self) -> tuple[str, ...]:
        """The ids of the jobs that are not over."""
        return tuple(self._memory.jobs)

    def handle(self, stimulus: Stimulus, now: float) -> list[Instruction]:
        """Take in what happened, and return what is to be done, in this order.

        `now` is in seconds of any clock that does not run backwards.
        """
        memory = self._memory
        out: list[Instruction] = []
        memory.out = out
        memory.now = max(now, memory.now)
        self._handlers[type(stimulus)](stimulus)
        for action in memory.timers.due(memory.now):
            action()
        self._fill_slots()
        wake = memory.timers.announce()
        if wake is not None:
            out.append(WakeAt(wake))
        return out

    def validate(self) -> None:
        """Check every invariant; raises AssertionError. For tests: it looks at everything."""
        check(self._memory)

    def _job_submitted(self, stimulus: JobSubmitted) -> None:
        memory, job = self._memory, stimulus.job
        if job.id in memory.jobs:
            return
        run = memory.jobs[job.id] = new_job(job, memory.policy, stimulus.recovery, memory.now)
        described = tuple((stage.id, stage.name, stage.tasks) for stage in job.stages)
        memory.out.append(Emit(events.JobStarted(job.id, job.name, described)))
        for (stage, _), links in stimulus.recovery.results.items():
            if is_there(run.stages[stage], links):
                metrics = tuple(link.metrics for link in links)
                memory.out.append(Emit(events.TaskRecovered(links[-1].id, metrics)))

    def _partitions_requested(self, stimulus: PartitionsRequested) -> None:
        job = self._memory.jobs.get(stimulus.job)
        if job is not None and not job.ending:
            stages.request(self._memory, job, stimulus.partitions)

    def _shuffle_opened(self, stimulus: ShuffleOpened) -> None:
        stage = self._opening(stimulus.job, stimulus.shuffle)
        if stage is None:
            return
        if stage.job.ending:
            stage.handle = stimulus.handle
            settle(self._memory, stage.job)
        else:
            stages.opened(self._memory, stage, stimulus.handle)

    def _shuffle_open_failed(self, stimulus: ShuffleOpenFailed) -> None:
        stage = self._opening(stimulus.job, stimulus.shuffle)
        if stage is not None:
            fail(self._memory, stage.job, stimulus.error)
            settle(self._memory, stage.job)

    def _opening(self, job: str, shuffle: int) -> StageRun | None:
        """Return the stage whose shuffle was being opened, and note that it no longer is."""
        run = self._memory.jobs.get(job)
        stage = run.writers.get(shuffle) if run is not None else None
        if stage is None or not stage.opening:
            return None
        stage.opening = False
        return stage

    def _shuffle_closed(self, stimulus: ShuffleClosed) -> None:
        job = self._memory.jobs.get(stimulus.job)
        stage = job.writers.get(stimulus.shuffle) if job is not None else None
        if stage is not None and stage.closing:
            stage.closing = False
            settle(self._memory, stage.job)

    def _fail(self, id: str, error: Exception) -> None:
        job = self._memory.jobs.get(id)
        if job is not None:
            fail(self._memory, job, error)

    def _job_released(self, stimulus: JobReleased) -> None:
        job = self._memory.jobs.get(stimulus.job)
        if job is not None:
            end(self._memory, job, stimulus.error)

    def _slots_changed(self, stimulus: SlotsChanged) -> None:
        self._memory.concurrency.slots = stimulus.slots

    def _fill_slots(self) -> None:
        memory = self._memory
        while memory.turns and memory.concurrency.has_room(memory.now):
            found = take_next(memory)
            if found is None:
                return
            task, speculative = found
            attempts.launch(memory, task, speculative=speculative)
        if memory.turns and not memory.ramping:
            self._wait_for_ramp()

    def _wait_for_ramp(self) -> None:
        opens = self._memory.concurrency.opens_at(self._memory.now)
        if opens is not None:
            self._memory.ramping = True
            self._memory.timers.at(opens, self._ramp_opens)

    def _ramp_opens(self) -> None:
        self._memory.ramping = False

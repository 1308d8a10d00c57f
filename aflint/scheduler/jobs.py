"""How a job begins and ends: stop what runs, close what is open, and only then it is over."""

from __future__ import annotations

from collections.abc import Mapping

from aflint import events
from aflint.plan.planner import Job, skipped_stages
from aflint.scheduler.failures import Loss
from aflint.scheduler.messages import (
    GENERATION_BITS,
    LOAN_BITS,
    CloseShuffle,
    Emit,
    FailJob,
    JobOver,
    KeptOutput,
    Recovery,
    Stop,
)
from aflint.scheduler.policy import Policy
from aflint.scheduler.state import Attempt, JobRun, StageRun, State
from aflint.task import MapStatus, TaskFailure, TaskResult


def submitted(state: State, job: Job, recovery: Recovery) -> None:
    """Take a job in; nothing of it runs until partitions are requested."""
    if job.id in state.jobs:
        return
    run = state.jobs[job.id] = new_job(job, state.policy, recovery, state.now)
    described = tuple(stage.info for stage in job.stages)
    transport = job.settings.transport[0] if job.settings.transport else ""
    started = events.JobStarted(job.id, job.name, described, transport, job.predicted, job.query)
    state.out.append(Emit(started))
    for stage_id in sorted(skipped_stages(job.stages, recovery.kept)):
        state.out.append(Emit(events.StageSkipped(job.id, stage_id)))
    for (stage, _), links in recovery.results.items():
        if is_there(run.stages[stage], links):
            metrics = tuple(link.metrics for link in links)
            state.out.append(Emit(events.TaskRecovered(links[-1].id, metrics)))


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
            record.kept = recovery.kept.get(stage.writes.shuffle)
            if record.kept is not None:
                record.handle = record.kept.handle
                record.ended = True  # in the job that ran it
    return run


def is_there(stage: StageRun, links: tuple[TaskResult, ...]) -> bool:
    """Say whether what a task of an earlier driver returned can still be used."""
    if stage.stage.writes is None:
        return links[-1].value is not None
    # A map task's output is in its shuffle: without that, its result is useless.
    return stage.recovered


def cancelled(state: State, id: str, error: Exception) -> None:
    """Fail a job from outside."""
    job = state.jobs.get(id)
    if job is not None:
        fail(state, job, error)


def released(state: State, id: str, error: str) -> None:
    """End a job whose `run` context was left: nothing more will be asked of it."""
    job = state.jobs.get(id)
    if job is not None:
        end(state, job, error)


def fail(state: State, job: JobRun, error: TaskFailure | Exception) -> None:
    """Fail a job, unless it is ending already."""
    if job.ending:
        return
    state.out.append(FailJob(job.id, error))
    end(state, job, Loss(error).text)


def end(state: State, job: JobRun, error: str) -> None:
    """Launch nothing more of a job and stop what runs."""
    if job.ending:
        return
    job.ending = True
    job.error = error
    job.ready.clear()
    job.placed.clear()
    job.backups.clear()
    state.turns.pop(job.id, None)
    for stage in job.runs:
        stage.waiters.clear()
        stage.candidates.clear()
    for attempt in job.running:
        stop(state, attempt)
    settle(state, job)


def stop(state: State, attempt: Attempt) -> None:
    """Stop an attempt; it keeps its slot until it has ended."""
    if not attempt.stopping:
        attempt.stopping = True
        state.out.append(Stop(attempt.id))


def settle(state: State, job: JobRun) -> None:
    """Take an ending job as far as it can go now.

    Shuffles are closed only once no attempt runs and nothing is being opened: what still writes
    would leave something behind.
    """
    if not job.ending or job.running or state.jobs.get(job.id) is not job:
        return
    stages = job.writers.values()
    for stage in stages:
        _close(state, stage)
    if any(stage.opening or stage.closing for stage in stages):
        return
    del state.jobs[job.id]
    state.out.append(Emit(events.JobEnded(job.id, job.error)))
    state.out.append(JobOver(job.id))


def _close(state: State, stage: StageRun) -> None:
    writes = stage.stage.writes
    if stage.handle is None or writes is None:
        return
    outputs = None if stage.suspect else _whole_output(stage)
    state.out.append(CloseShuffle(stage.job.id, writes.shuffle, stage.handle, outputs))
    stage.handle = None
    stage.closing = True


def _whole_output(stage: StageRun) -> Mapping[int, tuple[MapStatus, ...]] | None:
    """Return the output of every map partition, or None if that of any is missing."""
    if stage.needed:
        return stage.outputs if stage.complete else None
    # Nothing of this job had to read it, but it may be there: a later job may want it yet.
    if stage.kept is not None:
        return stage.kept.outputs
    results = stage.job.recovery.results
    places = [(stage.stage.id, partition) for partition in range(stage.stage.tasks)]
    if not all(place in results for place in places):
        return None
    return {place[1]: statuses_of(results[place]) for place in places}


def statuses_of(links: tuple[TaskResult, ...]) -> tuple[MapStatus, ...]:
    """Return the map statuses of all links of a chained attempt, each once, in order."""
    found: dict[tuple[int, int, int], MapStatus] = {}
    for result in links:
        for status in result.map_statuses:
            found[status.map, status.attempt, status.link] = status
    return tuple(found.values())


def first_attempt(recovery: Recovery, kept: KeptOutput | None) -> int:
    """Return the number of a task's first attempt; `kept` is the shuffle that it writes into."""
    loans = kept.loans if kept is not None else 0
    return (recovery.generation << GENERATION_BITS) + (loans << LOAN_BITS)

"""What always holds between two stimuli. Looks at everything: for tests, not for the way."""

from __future__ import annotations

from aflint.scheduler.model import JobRun, Memory, StageRun, TaskRun


def check(memory: Memory) -> None:
    """Raise AssertionError for the first invariant that does not hold."""
    _check_slots(memory)
    for job in memory.jobs.values():
        _check_job(memory, job)
        for stage in job.stages.values():
            _check_stage(stage)
            for task in stage.tasks.values():
                _check_task(memory, task)


def _check_slots(memory: Memory) -> None:
    running = memory.concurrency.running
    _hold(running == len(memory.attempts), "every running attempt is counted once")
    in_jobs = sum(len(job.running) for job in memory.jobs.values())
    _hold(in_jobs == running, "what runs belongs to a job that is not over")
    for id, attempt in memory.attempts.items():
        _hold(id == attempt.id, f"{id} is filed under its own id")
        _hold(attempt in attempt.task.running, f"{id} is known to its task")
    for job in memory.turns.values():
        _hold(memory.jobs.get(job.id) is job, f"job {job.id} takes turns only while it exists")


def _check_job(memory: Memory, job: JobRun) -> None:
    queued = bool(job.ready or job.backups)
    _hold(queued == (job.id in memory.turns), f"job {job.id} takes turns while it has work")
    if job.ending:
        _hold(not queued, f"nothing of ending job {job.id} is queued")
        stopping = all(attempt.stopping for attempt in job.running.values())
        _hold(stopping, f"everything of ending job {job.id} is being stopped")
        waits = job.running or any(s.opening or s.closing for s in job.writers.values())
        _hold(bool(waits), f"ending job {job.id} waits for something")


def _check_stage(stage: StageRun) -> None:
    name = f"stage {stage.stage.id} of job {stage.job.id}"
    missing = sum(task.accepted < 0 for task in stage.tasks.values())
    _hold(missing == stage.missing, f"{name} knows what it misses")
    if stage.job.ending:
        return
    _hold(not (stage.complete and stage.waiters), f"nobody waits for {name}, which is complete")
    accepted = {task.partition for task in stage.tasks.values() if task.accepted >= 0}
    if stage.stage.writes is not None:
        _hold(stage.outputs.keys() == accepted, f"{name} has the outputs of what it accepted")


def _check_task(memory: Memory, task: TaskRun) -> None:
    name = f"task {task.partition} of stage {task.stage.stage.id} of job {task.stage.job.id}"
    alive = [attempt for attempt in task.running if not attempt.stopping]
    _hold(len(alive) <= 2, f"{name} runs twice at most")
    _hold(task.failures <= memory.policy.max_attempts, f"{name} has bounded attempts")
    _hold(not (task.accepted >= 0 and alive), f"{name} does not run once it is accepted")
    if task.stage.job.ending:
        return
    open_yet = task.stage.stage.writes is None or task.stage.handle is not None
    wanted = task.accepted < 0 and open_yet
    _hold(task.pending == (wanted and not alive), f"{name} waits exactly while nothing runs it")
    if not task.stage.speculates:
        _hold(len(alive) <= 1, f"{name} is not speculated on")


def _hold(condition: bool, what: str) -> None:
    if not condition:
        raise AssertionError(f"scheduler invariant broken: {what}")

"""The life of an attempt: launched, continued, accepted, stopped, or failed and what follows."""

from __future__ import annotations

from aflint import errors, events
from aflint.scheduler import placement, queues
from aflint.scheduler.failures import Loss, exhausted, located, refetched_too_often
from aflint.scheduler.jobs import fail, settle, statuses_of, stop
from aflint.scheduler.messages import Deliver, Emit, Launch, PartitionDone
from aflint.scheduler.policy import Policy, Verdict
from aflint.scheduler.queues import admit
from aflint.scheduler.stages import completed, inputs_for, rerun_maps
from aflint.scheduler.state import Attempt, StageRun, StartingPoint, State, TaskRun, TaskState
from aflint.task import Continuation, TaskDescription, TaskId, TaskMetrics, TaskResult

_NOTHING = TaskMetrics()


def launch(state: State, task: TaskRun, *, speculative: bool) -> None:
    """Start the next attempt of a task, from where the last one was lost."""
    if speculative:
        start: StartingPoint | None = task.running[0].start
    else:
        task.move(TaskState.RUNNING)
        start = task.next_start
    task.next_start = None
    number = task.attempts
    task.attempts += 1
    start = start or StartingPoint(inputs_for(task), state.epoch)
    _start(state, task, number, start, speculative)


def ended(state: State, result: TaskResult) -> None:
    """Take in a result, unless its attempt is unknown or over."""
    attempt = state.attempts.get(result.id)
    if attempt is None:
        return
    if state.places:
        placement.ended(state, attempt, result)
    if attempt.stopping:
        _superseded(state, attempt, result)
    elif result.failure is not None:
        _failed(state, attempt, Loss(result.failure), result)
    elif result.continuation is not None:
        _continue(state, attempt, result, result.continuation)
    else:
        _accept(state, attempt, result)
    settle(state, attempt.task.stage.job)


def lost(state: State, id: TaskId, error: Exception) -> None:
    """Take in that an attempt ended without a result."""
    attempt = state.attempts.get(id)
    if attempt is None:
        return
    if attempt.stopping:
        _superseded(state, attempt, None)
    else:
        _failed(state, attempt, Loss(error), None)
    settle(state, attempt.task.stage.job)


def stopped(state: State, id: TaskId) -> None:
    """Take in that an attempt was stopped; if no Stop was sent, it was lost."""
    lost(state, id, errors.WorkerLostError("the attempt was stopped from outside"))


def _start(
    state: State, task: TaskRun, number: int, start: StartingPoint, speculative: bool
) -> None:
    """Launch a link of an attempt: the first one or, with `start.links`, a later one."""
    stage, job = task.stage, task.stage.job
    id = TaskId(job.id, stage.stage.id, task.partition, number, len(start.links))
    attempt = Attempt(id, task, start, state.now, speculative)
    # A second attempt, and a link that takes its predecessor's slot, were not queued.
    queued = 0.0 if speculative or id.link else state.now - task.ready_at
    queues.begin_reading(state, attempt)
    state.attempts[id] = attempt
    job.running[attempt] = None
    task.running = (*task.running, attempt)
    state.concurrency.launched(state.now)
    if not stage.started:
        stage.started = True
        state.out.append(Emit(events.StageStarted(job.id, stage.stage.id)))
    executor = placement.executor_for(state, task) if state.idle else ""
    described = _describe(attempt, state.policy, executor)
    state.out.append(Launch(described, speculative))
    state.out.append(Emit(events.TaskStarted(id, speculative, described.memory_mb, queued)))
    queues.watch(state, attempt)


def _describe(attempt: Attempt, policy: Policy, executor: str) -> TaskDescription:
    """Return what an executor needs to run the attempt."""
    stage = attempt.task.stage
    settings = stage.job.job.settings
    return TaskDescription(
        id=attempt.id,
        program=stage.stage.program,
        inputs=attempt.start.inputs,
        output=stage.handle,
        transport=settings.transport,
        aws=settings.aws,
        storage=settings.storage,
        memory_mb=policy.memory_mb(settings.memory_mb, attempt.task.memory_kills),
        max_result_bytes=settings.max_result_bytes,
        fetch_timeout_s=settings.fetch_timeout_s,
        logs=settings.logs,
        keep=settings.keep,
        debug=settings.debug,
        continuation=attempt.start.continuation,
        executor=executor,
    )


def _finish(
    state: State,
    attempt: Attempt,
    result: TaskResult | None,
    error: str,
    spent: TaskMetrics = _NOTHING,
    refused: bool = False,
    continues: bool = False,
) -> None:
    """Free the attempt's slot and emit how it ended."""
    _free(state, attempt)
    found = result or TaskResult(attempt.id, metrics=spent)
    state.out.append(
        Emit(
            events.TaskEnded(
                attempt.id, False, error, found.metrics, found.logs, refused, continues,
                found.executor,
            )
        )
    )  # fmt: skip


def _free(state: State, attempt: Attempt) -> None:
    task = attempt.task
    del state.attempts[attempt.id], task.stage.job.running[attempt]
    task.running = tuple(each for each in task.running if each is not attempt)
    task.stage.candidates.pop(attempt.id, None)
    state.concurrency.ended(state.now)
    queues.end_reading(state, attempt)


def _superseded(state: State, attempt: Attempt, result: TaskResult | None) -> None:
    _finish(state, attempt, result, error="")
    if result is None:
        _may_read_on(attempt)


def _continue(
    state: State, attempt: Attempt, result: TaskResult, continuation: Continuation
) -> None:
    """Start the next link in the slot that the last one leaves: it does not queue again."""
    _finish(state, attempt, result, error="", continues=True)
    state.concurrency.succeeded()
    before = attempt.start
    if _stands_still(before.continuation, continuation):
        message = (
            f"link {attempt.id.link} of partition {attempt.id.partition} of stage "
            f"{attempt.id.stage} used up its time without taking a single record; give the "
            "function more time, or make the records smaller"
        )
        fail(state, attempt.task.stage.job, errors.TimedOutError(message))
        return
    attempt.task.throttles = 0
    start = StartingPoint(before.inputs, before.epoch, continuation, (*before.links, result))
    _start(state, attempt.task, attempt.id.attempt, start, attempt.speculative)


def _stands_still(before: Continuation | None, after: Continuation) -> bool:
    if before is None:
        return False
    return before.position == after.position and before.state == after.state


def _accept(state: State, attempt: Attempt, result: TaskResult) -> None:
    """Make the attempt's result the task's.

    The links are delivered, and so written to the journal, before listeners get TaskEnded.
    """
    _free(state, attempt)
    state.concurrency.succeeded()
    task, stage, job = attempt.task, attempt.task.stage, attempt.task.stage.job
    state.epoch += 1
    task.move(TaskState.ACCEPTED)
    task.epoch = state.epoch
    task.throttles, task.next_start = 0, None
    for other in task.running:
        stop(state, other)
    links = (*attempt.start.links, result)
    for each in links:
        state.out.append(Deliver(job.id, each, first=not task.delivered))
    task.delivered = True
    state.out.append(
        Emit(
            events.TaskEnded(
                attempt.id, True, "", result.metrics, result.logs, executor=result.executor
            )
        )
    )
    if stage.stage.writes is not None:
        stage.outputs[task.partition] = statuses_of(links)
        stage.columns = None
    else:
        state.out.append(PartitionDone(job.id, task.partition, result))
    queues.learn(state, attempt)
    if not stage.missing:
        completed(state, stage)


# What follows from a failure: another attempt, map tasks run again, or the end of the job.


def _failed(state: State, attempt: Attempt, loss: Loss, result: TaskResult | None) -> None:
    refused = issubclass(loss.kind, errors.ThrottledError)
    if refused:
        state.concurrency.throttled(attempt.launched, state.now)
    _finish(state, attempt, result, loss.text, loss.metrics, refused)
    if result is None and not refused:
        _may_read_on(attempt)
    verdict = state.policy.judge(loss.kind)
    if verdict is Verdict.FAIL:
        _fail_job(state, attempt.task, loss)
    elif verdict is Verdict.LATER:
        _later(state, attempt)
    elif verdict is Verdict.REFETCH and _names_maps(attempt, loss):
        _refetch(state, attempt, loss)
    else:
        _again(state, attempt, loss)


def _again(state: State, attempt: Attempt, loss: Loss) -> None:
    """Run the task once more, unless it was lost too often."""
    task, job = attempt.task, attempt.task.stage.job
    task.failures += 1
    task.throttles = 0
    if issubclass(loss.kind, errors.OutOfMemoryError):
        task.memory_kills += 1
    if task.failures < state.policy.max_attempts:
        task.next_start = _after_lost_link(attempt)
        _requeue(state, task)
    elif issubclass(loss.kind, errors.TaskError):
        _fail_job(state, task, loss)
    else:
        fail(state, job, exhausted(loss, attempt.id, task.stage.stage.name, task.failures))


def _fail_job(state: State, task: TaskRun, loss: Loss) -> None:
    stage = task.stage
    fail(state, stage.job, located(loss.cause, stage.stage.steps))


def _later(state: State, attempt: Attempt) -> None:
    """Run the task once more after a while."""
    task, id = attempt.task, attempt.id
    task.throttles += 1
    if task.lives:
        return
    task.next_start = _after_lost_link(attempt)
    task.move(TaskState.BACKING_OFF)
    salt = f"{id.job}/{id.stage}/{id.partition}"
    due = state.now + state.policy.backoff(task.throttles, salt)
    state.timers.at(due, lambda: _readmit(state, task))


def _refetch(state: State, attempt: Attempt, loss: Loss) -> None:
    """Have the lost map outputs made again; the task starts over, with a new manifest.

    Where a reader of a driver that was killed may hide them, they are waited for once more.
    """
    task, job = attempt.task, attempt.task.stage.job
    source = _lost_from(attempt, loss)
    assert source is not None
    there_before = source.recovered or source.kept is not None
    if loss.waited and there_before and state.now < job.contested_until:
        _later(state, attempt)
        return
    if rerun_maps(state, source, loss.lost_maps.maps, attempt.start.epoch):
        rounds = state.policy.max_fetch_rounds
        fail(state, job, refetched_too_often(loss, source.stage.name, rounds))
        return
    task.next_start = None
    task.throttles = 0
    _requeue(state, task)


def _after_lost_link(attempt: Attempt) -> StartingPoint | None:
    """Return where a chain goes on that lost a link.

    None if the first link was lost: that one begins with manifests of what is accepted by then.
    """
    return attempt.start if attempt.start.links else None


def _names_maps(attempt: Attempt, loss: Loss) -> bool:
    """Say whether the failure names outputs that the attempt was told to read."""
    source, maps = _lost_from(attempt, loss), loss.lost_maps.maps
    if source is None or not maps:
        return False
    return all(each in source.maps for each in maps)


def _lost_from(attempt: Attempt, loss: Loss) -> StageRun | None:
    """Return the stage that wrote what was lost, if the attempt reads it."""
    lost = loss.lost_maps
    opened_by = lost.job or attempt.id.job
    for stage in attempt.task.reads:
        handle = stage.handle
        # Shares of a skewed partition have another writer than the rest of their shuffle.
        writes = not lost.maps or lost.maps[0] in stage.maps
        if writes and handle and (handle.job, handle.shuffle) == (opened_by, lost.shuffle):
            return stage
    return None


def _may_read_on(attempt: Attempt) -> None:
    """Note that a lost attempt may still be running, and go on reading its shuffles."""
    if attempt.reads:
        for stage in attempt.task.reads:
            stage.suspect = True


def _requeue(state: State, task: TaskRun) -> None:
    if not task.lives:  # else a second attempt is under way
        admit(state, task, first=True)


def _readmit(state: State, task: TaskRun) -> None:
    if not task.stage.job.ending:
        admit(state, task, first=True)

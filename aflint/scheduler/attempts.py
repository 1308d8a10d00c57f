"""The life of an attempt: launched, continued, accepted, failed or stopped."""

from __future__ import annotations

from aflint import errors, events
from aflint.scheduler import speculation
from aflint.scheduler.ending import fail, settle, stop
from aflint.scheduler.failures import Loss
from aflint.scheduler.instructions import Deliver, Emit, Launch, PartitionDone
from aflint.scheduler.manifests import describe, inputs_for
from aflint.scheduler.model import Attempt, Chain, Memory, TaskRun, statuses_of
from aflint.scheduler.retries import retry
from aflint.scheduler.stages import completed
from aflint.task import Continuation, TaskId, TaskMetrics, TaskResult

_NOTHING = TaskMetrics()


def launch(memory: Memory, task: TaskRun, *, speculative: bool) -> None:
    """Start the next attempt of a task, from where the last one was lost."""
    chain = task.running[0].chain if speculative else task.chain
    task.chain = None
    number = task.attempts
    task.attempts += 1
    chain = chain or Chain(inputs_for(task), memory.stamp)
    _start(memory, task, number, chain, speculative)


def ended(memory: Memory, result: TaskResult) -> None:
    """Take in a result, unless it is nobody's or comes late."""
    attempt = memory.attempts.get(result.id)
    if attempt is None:
        return
    loss = Loss(result.failure) if result.failure is not None else None
    if attempt.stopping:
        _superseded(memory, attempt, result)
    elif loss is not None:
        _failed(memory, attempt, loss, result)
    elif result.continuation is not None:
        _continue(memory, attempt, result, result.continuation)
    else:
        _accept(memory, attempt, result)
    settle(memory, attempt.task.stage.job)


def lost(memory: Memory, id: TaskId, error: Exception) -> None:
    """Take in that an attempt ended without a result."""
    attempt = memory.attempts.get(id)
    if attempt is None:
        return
    if attempt.stopping:
        _superseded(memory, attempt, None)
    else:
        _failed(memory, attempt, Loss(error), None)
    settle(memory, attempt.task.stage.job)


def stopped(memory: Memory, id: TaskId) -> None:
    """Take in that an attempt was stopped; where nobody asked for that, it was lost."""
    lost(memory, id, errors.WorkerLostError("the attempt was stopped from outside"))


def _start(memory: Memory, task: TaskRun, number: int, chain: Chain, speculative: bool) -> None:
    stage, job = task.stage, task.stage.job
    id = TaskId(job.id, stage.stage.id, task.partition, number, chain.link)
    attempt = Attempt(id, task, chain, memory.now, speculative)
    memory.attempts[id] = job.running[id] = attempt
    task.running.append(attempt)
    memory.concurrency.launched(memory.now)
    if not stage.started:
        stage.started = True
        memory.out.append(Emit(events.StageStarted(job.id, stage.stage.id)))
    described = describe(attempt, memory.policy)
    memory.out.append(Launch(described, speculative))
    memory.out.append(Emit(events.TaskStarted(id, speculative, described.memory_mb)))
    speculation.watch(memory, attempt)


def _finish(
    memory: Memory,
    attempt: Attempt,
    result: TaskResult | None,
    error: str,
    spent: TaskMetrics = _NOTHING,
    refused: bool = False,
) -> None:
    """Free the attempt's slot and say what became of it."""
    _free(memory, attempt)
    metrics, logs = (result.metrics, result.logs) if result else (spent, "")
    memory.out.append(Emit(events.TaskEnded(attempt.id, False, error, metrics, logs, refused)))


def _free(memory: Memory, attempt: Attempt) -> None:
    task = attempt.task
    del memory.attempts[attempt.id], task.stage.job.running[attempt.id]
    task.running.remove(attempt)
    task.stage.candidates.pop(attempt.id, None)
    memory.concurrency.ended(memory.now)


def _superseded(memory: Memory, attempt: Attempt, result: TaskResult | None) -> None:
    _finish(memory, attempt, result, error="")


def _failed(memory: Memory, attempt: Attempt, loss: Loss, result: TaskResult | None) -> None:
    refused = issubclass(loss.kind, errors.ThrottledError)
    if refused:
        memory.concurrency.throttled(attempt.started, memory.now)
    _finish(memory, attempt, result, loss.text, loss.metrics, refused)
    retry(memory, attempt, loss)


def _continue(
    memory: Memory, attempt: Attempt, result: TaskResult, continuation: Continuation
) -> None:
    """Start the next link in the slot that the last one leaves."""
    _finish(memory, attempt, result, error="")
    memory.concurrency.succeeded()
    before = attempt.chain
    if _stands_still(before.continuation, continuation):
        message = (
            f"link {attempt.id.link} of partition {attempt.id.partition} of stage "
            f"{attempt.id.stage} used up its time without taking a single record; give the "
            "function more time, or make the records smaller"
        )
        fail(memory, attempt.task.stage.job, errors.TimedOutError(message))
        return
    attempt.task.throttles = 0
    chain = Chain(before.inputs, before.stamp, continuation, (*before.links, result))
    _start(memory, attempt.task, attempt.id.attempt, chain, attempt.speculative)


def _stands_still(before: Continuation | None, after: Continuation) -> bool:
    if before is None:
        return False
    return before.position == after.position and before.state == after.state


def _accept(memory: Memory, attempt: Attempt, result: TaskResult) -> None:
    """Take a result in, and say so once it is written down."""
    _free(memory, attempt)
    memory.concurrency.succeeded()
    task, stage, job = attempt.task, attempt.task.stage, attempt.task.stage.job
    memory.stamp += 1
    task.accepted, task.stamp = attempt.id.attempt, memory.stamp
    task.throttles, task.chain = 0, None
    stage.missing -= 1
    for other in task.running:
        stop(memory, other)
    links = (*attempt.chain.links, result)
    for each in links:
        memory.out.append(Deliver(job.id, each, first=not task.delivered))
    task.delivered = True
    memory.out.append(Emit(events.TaskEnded(attempt.id, True, "", result.metrics, result.logs)))
    if stage.stage.writes is not None:
        stage.outputs[task.partition] = statuses_of(links)
        stage.columns = None
    else:
        memory.out.append(PartitionDone(job.id, task.partition, result))
    speculation.learn(memory, attempt)
    if not stage.missing:
        completed(memory, stage)

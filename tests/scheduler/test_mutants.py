"""The models are worth something: each sees a state machine that breaks its promise.

The state machine's own checks, its invariants and its table of moves, are left out, so that it is
the models alone that see it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from aflint.plan.planner import Job
from aflint.scheduler import attempts, jobs, stages, state
from aflint.scheduler.failures import Loss
from aflint.scheduler.messages import Deliver, Recovery
from aflint.scheduler.policy import Policy
from aflint.scheduler.queues import admit
from aflint.scheduler.state import Attempt, JobRun, StageRun, State, TaskRun, TaskState
from aflint.task import TaskId, TaskResult
from tests.scheduler.promises import BrokenPromiseError
from tests.scheduler.world import World


class Unvalidated(World):
    validated = False


SETTINGS = settings(
    max_examples=2000,
    stateful_step_count=60,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def late_results_are_taken() -> AbstractContextManager[Any]:
    """What comes from an attempt after another was accepted is accepted as well."""
    superseded = attempts._superseded

    def accept(state: State, attempt: Attempt, result: TaskResult | None) -> None:
        done = result is not None and result.failure is None and result.continuation is None
        if result is not None and done and not attempt.task.stage.job.ending:
            attempts._accept(state, attempt, result)
        else:
            superseded(state, attempt, result)

    return patch.object(attempts, "_superseded", accept)


def manifests_of_the_first_attempt() -> AbstractContextManager[Any]:
    """A map task that is run again keeps the outputs of the attempt that was accepted first."""
    accept = attempts._accept
    first: dict[tuple[str, int, int], Any] = {}

    def accept_first(state: State, attempt: Attempt, result: TaskResult) -> None:
        accept(state, attempt, result)
        stage, partition = attempt.task.stage, attempt.task.partition
        if partition in stage.outputs:
            place = (stage.job.id, stage.stage.id, partition)
            stage.outputs[partition] = first.setdefault(place, stage.outputs[partition])
            stage.columns = None

    return patch.object(attempts, "_accept", accept_first)


def losses_are_not_counted() -> AbstractContextManager[Any]:
    """A task may be lost as often as it likes."""
    again = attempts._again

    def forgiving(state: State, attempt: Attempt, loss: Loss) -> None:
        attempt.task.failures = 0
        again(state, attempt, loss)

    return patch.object(attempts, "_again", forgiving)


def maps_are_run_again_for_anyone() -> AbstractContextManager[Any]:
    """A failure that names maps is believed, however new their output is."""

    def rerun(state: State, stage: StageRun, maps: Iterable[int], epoch: int) -> bool:
        maps = list(maps)
        rerun_maps(state, stage, maps, 1 << 62)
        for map in set(maps) & stage.tasks.keys():
            stage.tasks[map].fetch_rounds = 0
        return False

    rerun_maps = stages.rerun_maps
    return patch.object(attempts, "rerun_maps", rerun)


def a_backoff_outlives_its_job() -> AbstractContextManager[Any]:
    """A throttled task comes back after its job has failed."""

    def readmit(state: State, task: TaskRun) -> None:
        admit(state, task, first=True)

    return patch.object(attempts, "_readmit", readmit)


def a_job_may_fail_twice() -> AbstractContextManager[Any]:
    """A job that ends already is failed again."""

    cancelled = jobs.cancelled

    def failing(state: State, id: str, error: Exception) -> None:
        if id in state.jobs:
            state.jobs[id].ending = False
        cancelled(state, id, error)

    return patch.object(jobs, "cancelled", failing)


def accumulators_of_every_attempt() -> AbstractContextManager[Any]:
    """What a task accumulated counts each time that it is run."""

    def deliver(job: str, result: TaskResult, first: bool) -> Deliver:
        return Deliver(job, result, first=True)

    return patch.object(attempts, "Deliver", deliver)


def accumulators_of_the_last_link() -> AbstractContextManager[Any]:
    """Only the last link of a chained task counts."""

    def deliver(job: str, result: TaskResult, first: bool) -> Deliver:
        return Deliver(job, result, first=first and result.continuation is None)

    return patch.object(attempts, "Deliver", deliver)


def throttled_attempts_are_forgotten() -> AbstractContextManager[Any]:
    """Nobody comes back to a throttled task."""

    def forget(state: State, attempt: Attempt) -> None:
        attempt.task.throttles += 1

    return patch.object(attempts, "_later", forget)


def shuffles_stay_open() -> AbstractContextManager[Any]:
    """A job ends without closing its shuffles."""
    return patch.object(jobs, "_close", lambda state, stage: None)


def stopped_attempts_are_forgotten() -> AbstractContextManager[Any]:
    """An attempt that was stopped from outside is not missed."""

    def stopped(state: State, id: TaskId) -> None:
        attempt = state.attempts.get(id)
        if attempt is not None:
            attempts._superseded(state, attempt, None)
            jobs.settle(state, attempt.task.stage.job)

    return patch.object(attempts, "stopped", stopped)


def numbers_begin_anew() -> AbstractContextManager[Any]:
    """A second driver numbers its attempts as the first one did."""
    return patch.object(stages, "first_attempt", lambda recovery, kept: 0)


def recovered_shuffles_stay_open() -> AbstractContextManager[Any]:
    """A job closes the shuffles that it opened itself, and no other."""
    close = jobs._close

    def close_own(state: State, stage: StageRun) -> None:
        if not stage.recovered:
            close(state, stage)

    return patch.object(jobs, "_close", close_own)


def counted_anew_when_resumed() -> AbstractContextManager[Any]:
    """What was accumulated under another driver counts once more when its task runs again."""
    return _resuming(lambda recovery: replace(recovery, delivered=frozenset()))


def output_of_closed_shuffles_is_read() -> AbstractContextManager[Any]:
    """What a task wrote counts as there, whatever became of its shuffle."""
    return patch.object(stages, "is_there", lambda stage, links: True)


def accepted_tasks_run_again() -> AbstractContextManager[Any]:
    """A second driver has everything computed again."""
    return _resuming(lambda recovery: replace(recovery, results={}))


def hidden_output_is_made_again() -> AbstractContextManager[Any]:
    """Frames that readers of a dead driver may hide are taken for lost."""
    return _resuming(lambda recovery: replace(recovery, readers_s=0.0))


def lost_output_is_made_of_nothing() -> AbstractContextManager[Any]:
    """Map tasks run again without the shuffles that they read, which nobody had needed so far."""

    def rerun(state: State, stage: StageRun, maps: Iterable[int], epoch: int) -> bool:
        with patch.object(stages, "_need", lambda state, job, tasks: None):
            return rerun_maps(state, stage, maps, epoch)

    rerun_maps = stages.rerun_maps
    return patch.object(attempts, "rerun_maps", rerun)


def _resuming(forget: Callable[[Recovery], Recovery]) -> AbstractContextManager[Any]:
    def begin(job: Job, policy: Policy, recovery: Recovery, now: float) -> JobRun:
        return new_job(job, policy, forget(recovery), now)

    new_job = jobs.new_job
    return patch.object(jobs, "new_job", begin)


MUTANTS: list[tuple[Callable[[], AbstractContextManager[Any]], str]] = [
    (late_results_are_taken, "OneAcceptedAttempt"),
    (manifests_of_the_first_attempt, "OneAcceptedAttempt"),
    (losses_are_not_counted, "BoundedAttempts"),
    (maps_are_run_again_for_anyone, "OneAcceptedAttempt"),
    (a_backoff_outlives_its_job, "NothingForFinishedJobs"),
    (a_job_may_fail_twice, "NothingForFinishedJobs"),
    (accumulators_of_every_attempt, "AccumulatorsOnce"),
    (accumulators_of_the_last_link, "AccumulatorsOnce"),
    (throttled_attempts_are_forgotten, "EventualEnd"),
    (shuffles_stay_open, "EventualEnd"),
    (stopped_attempts_are_forgotten, "EventualEnd or BoundedAttempts"),
    (numbers_begin_anew, "BoundedAttempts"),
    (recovered_shuffles_stay_open, "EventualEnd"),
    (counted_anew_when_resumed, "AccumulatorsOnce"),
    (output_of_closed_shuffles_is_read, "OneAcceptedAttempt"),
    (accepted_tasks_run_again, "OneAcceptedAttempt"),
    (hidden_output_is_made_again, "OneAcceptedAttempt"),
    (lost_output_is_made_of_nothing, "EventualEnd"),
]


@pytest.mark.parametrize(("mutant", "promise"), MUTANTS, ids=[m.__name__ for m, _ in MUTANTS])
def test_it_is_caught(mutant: Callable[[], AbstractContextManager[Any]], promise: str) -> None:
    anywhere = {each: frozenset(TaskState) for each in TaskState}
    unchecked = patch.object(state, "MOVES", anywhere)
    with unchecked, mutant(), pytest.raises(BrokenPromiseError) as caught:
        run_state_machine_as_test(Unvalidated, settings=SETTINGS)
    # Hypothesis draws on constants of whatever modules there are: which of two broken promises
    # comes first differs from process to process.
    assert caught.value.promise in promise.split(" or ")

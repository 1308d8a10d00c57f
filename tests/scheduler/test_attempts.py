"""What follows from failures."""

from __future__ import annotations

from typing import Any

import pytest

from aflint import errors, events
from aflint.scheduler.messages import (
    AttemptLost,
    AttemptStopped,
    Deliver,
    FailJob,
    Instruction,
    Launch,
    SlotsChanged,
    Stop,
    Tick,
    WakeAt,
)
from aflint.scheduler.policy import Policy
from aflint.task import Continuation, InSource, MapOutput, TaskId, TaskResult
from tests.scheduler.builders import (
    Machine,
    delivered,
    done,
    failed,
    flat_job,
    launched,
    launches,
    map_result,
    map_status,
    shuffle_job,
    task_id,
    value_result,
)

LOST = errors.WorkerLostError("signal 9")


def the_failure(instructions: list[Instruction]) -> object:
    (found,) = [each.error for each in instructions if isinstance(each, FailJob)]
    return found


def after_maps(machine: Machine, maps: int = 2, reduces: int = 2) -> None:
    """Bring a job of two stages to where all its reduce tasks run."""
    machine.submit(shuffle_job(maps, reduces))
    machine.open(7, reduces)
    machine.end(*(map_result(task_id(0, p), [1] * reduces) for p in range(maps)))


def test_a_lost_worker_costs_one_attempt() -> None:
    machine = Machine()
    machine.submit(flat_job(1))
    assert launched(machine.feed(AttemptLost(task_id(0, 0), LOST))) == [task_id(0, 0, 1)]
    assert done(machine.end(value_result(task_id(0, 0, 1)))) == [0]


def test_a_reported_retriable_failure_is_retried_too() -> None:
    machine = Machine()
    machine.submit(flat_job(1))
    found = machine.end(failed(task_id(0, 0), "TimedOutError"))
    assert launched(found) == [task_id(0, 0, 1)]
    assert [e.error for e in machine.events if isinstance(e, events.TaskEnded)] == [
        "TimedOutError: boom"
    ]


def test_a_task_lost_too_often_fails_its_job() -> None:
    machine = Machine(Policy(max_attempts=3))
    machine.submit(flat_job(4))
    for attempt in range(2):
        machine.feed(AttemptLost(task_id(0, 3, attempt), LOST))
    error = the_failure(machine.feed(AttemptLost(task_id(0, 3, 2), LOST)))
    assert isinstance(error, errors.AttemptsExhaustedError)
    assert error.__cause__ is LOST
    for part in ("partition 3", "stage 0 (stage0)", "3 times", "WorkerLostError: signal 9"):
        assert part in str(error)


def test_failures_of_other_tasks_do_not_count() -> None:
    machine = Machine(Policy(max_attempts=2))
    machine.submit(flat_job(5))
    for partition in range(5):
        assert launched(machine.feed(AttemptLost(task_id(0, partition), LOST)))


def test_a_user_error_fails_the_job_at_once() -> None:
    machine = Machine()
    machine.submit(flat_job(2))
    result = failed(task_id(0, 0), "TaskError")
    found = machine.end(result)
    assert the_failure(found) is result.failure
    assert [each for each in found if isinstance(each, Stop)] == [Stop(task_id(0, 1))]


def test_user_errors_are_retried_where_policy_says_so() -> None:
    machine = Machine(Policy(retry_user_errors=True, max_attempts=2))
    machine.submit(flat_job(1))
    assert launched(machine.end(failed(task_id(0, 0), "TaskError"))) == [task_id(0, 0, 1)]
    last = failed(task_id(0, 0, 1), "TaskError", "at last")
    assert the_failure(machine.end(last)) is last.failure


@pytest.mark.parametrize(
    "kind", ["CorruptInputError", "UncuttableTaskError", "InternalError", "DiskFullError", "Bogus"]
)
def test_what_another_attempt_cannot_help_is_final(kind: str) -> None:
    machine = Machine()
    machine.submit(flat_job(1))
    result = failed(task_id(0, 0), kind)
    assert the_failure(machine.end(result)) is result.failure


def test_a_final_error_of_the_invoker_fails_the_job() -> None:
    machine = Machine()
    machine.submit(flat_job(1))
    error = errors.VersionMismatchError("3.11 and 3.12")
    assert the_failure(machine.feed(AttemptLost(task_id(0, 0), error))) is error


def test_memory_grows_with_kills() -> None:
    machine = Machine(Policy(memory_sizes_mb=(512, 1024, 4096)))
    machine.submit(flat_job(1, memory_mb=512))
    seen = []
    for attempt in range(3):
        killed = failed(task_id(0, 0, attempt), "OutOfMemoryError")
        seen += [task.memory_mb for task in launches(machine.end(killed))]
    assert seen == [1024, 4096, 4096]


def throttle(machine: Machine, id: TaskId) -> list[Instruction]:
    return machine.feed(AttemptLost(id, errors.ThrottledError("429")))


def test_a_throttled_attempt_waits_and_costs_nothing() -> None:
    machine = Machine(Policy(max_attempts=2, throttle_base_s=1.0, throttle_max_s=8.0))
    machine.submit(flat_job(1))
    delays = []
    for attempt in range(6):
        (wake,) = throttle(machine, task_id(0, 0, attempt))
        assert isinstance(wake, WakeAt)
        delays.append(wake.time - machine.now)
        machine.now = wake.time
        assert launched(machine.feed(Tick())) == [task_id(0, 0, attempt + 1)]
    for delay, whole in zip(delays, [1, 2, 4, 8, 8, 8], strict=True):
        assert whole / 2 <= delay <= whole


def test_a_tick_too_early_wakes_nobody_and_is_asked_for_again() -> None:
    machine = Machine()
    machine.submit(flat_job(1))
    (wake,) = throttle(machine, task_id(0, 0))
    assert machine.feed(Tick()) == [wake]


def test_a_burst_of_throttles_cuts_concurrency_once() -> None:
    machine = Machine(Policy(throttle_cut=0.5, throttle_gain=0.0), slots=10)
    machine.submit(flat_job(30))
    for partition in range(4):
        throttle(machine, task_id(0, partition))
    assert machine.running == 6
    launches_after = [
        len(launched(machine.end(value_result(task_id(0, partition))))) for partition in range(4, 8)
    ]
    assert launches_after == [0, 1, 1, 1]
    assert machine.running == 5


def test_successes_raise_concurrency_again() -> None:
    machine = Machine(Policy(throttle_cut=0.1, throttle_gain=1.0), slots=10)
    running = launched(machine.submit(flat_job(500)))
    throttle(machine, running.pop())
    seen = []
    for _ in range(100):
        running += launched(machine.end(value_result(running.pop(0))))
        seen.append(machine.running)
    lowest = min(seen)
    assert lowest < 5
    assert seen[seen.index(lowest) :] == sorted(seen[seen.index(lowest) :])
    assert seen[-1] == 10


def test_lost_frames_run_their_maps_again_and_then_the_reduce_task() -> None:
    machine = Machine()
    after_maps(machine)
    lost = failed(task_id(1, 0), "FetchFailedError", shuffle=7, maps=(1,))
    assert launched(machine.end(lost)) == [task_id(0, 1, 1)]
    found = machine.end(map_result(task_id(0, 1, 1), [2, 2]))
    assert delivered(found) == [(task_id(0, 1, 1), False)]
    (task,) = launches(found)
    assert task.id == task_id(1, 0, 1)
    assert task.inputs[0].split.outputs == (
        MapOutput(0, 0, 0, 1, 100),
        MapOutput(1, 1, 0, 2, 200),
    )


def test_a_fetch_failure_raised_by_the_invoker_counts_the_same() -> None:
    machine = Machine()
    after_maps(machine)
    error = errors.FetchFailedError("gone", shuffle=7, maps=(0, 1))
    assert launched(machine.feed(AttemptLost(task_id(1, 1), error))) == [
        task_id(0, 1, 1),
        task_id(0, 0, 1),
    ]


def test_two_reduce_tasks_that_miss_the_same_map_have_it_run_once() -> None:
    machine = Machine()
    after_maps(machine)
    machine.end(failed(task_id(1, 0), "FetchFailedError", shuffle=7, maps=(1,)))
    late = failed(task_id(1, 1), "FetchFailedError", shuffle=7, maps=(1,))
    assert launched(machine.end(late)) == []
    found = machine.end(map_result(task_id(0, 1, 1), [1, 1]))
    assert launched(found) == [task_id(1, 0, 1), task_id(1, 1, 1)]


def test_a_failure_about_an_older_output_does_not_run_the_newer_one_again() -> None:
    machine = Machine()
    after_maps(machine)
    machine.end(failed(task_id(1, 0), "FetchFailedError", shuffle=7, maps=(1,)))
    machine.end(map_result(task_id(0, 1, 1), [1, 1]))
    late = failed(task_id(1, 1), "FetchFailedError", shuffle=7, maps=(1,))
    assert launched(machine.end(late)) == [task_id(1, 1, 1)]


def test_a_queued_reduce_task_waits_when_its_shuffle_loses_output() -> None:
    machine = Machine(slots=2)
    after_maps(machine, maps=2, reduces=4)
    lost = failed(task_id(1, 0), "FetchFailedError", shuffle=7, maps=(0,))
    assert launched(machine.end(lost)) == [task_id(0, 0, 1)]
    assert launched(machine.end(value_result(task_id(1, 1)))) == []
    found = machine.end(map_result(task_id(0, 0, 1), [1] * 4))
    assert len(launched(found)) == 2


def test_rounds_of_lost_output_are_bounded() -> None:
    machine = Machine(Policy(max_fetch_rounds=2))
    after_maps(machine, maps=1, reduces=1)
    for attempt in range(2):
        machine.end(failed(task_id(1, 0, attempt), "FetchFailedError", shuffle=7, maps=(0,)))
        machine.end(map_result(task_id(0, 0, attempt + 1), [1]))
    last = failed(task_id(1, 0, 2), "FetchFailedError", "no frames", shuffle=7, maps=(0,))
    error = the_failure(machine.end(last))
    assert isinstance(error, errors.AttemptsExhaustedError)
    assert isinstance(error.__cause__, errors.FetchFailedError)
    assert "shuffle 7" in str(error)
    assert "no frames" in str(error)


def test_each_map_may_lose_its_output_as_often_as_any_other() -> None:
    machine = Machine(Policy(max_fetch_rounds=1))
    after_maps(machine, maps=3, reduces=1)
    for map in range(3):
        machine.end(failed(task_id(1, 0, map), "FetchFailedError", shuffle=7, maps=(map,)))
        machine.end(map_result(task_id(0, map, 1), [1]))
    last = failed(task_id(1, 0, 3), "FetchFailedError", "no frames", shuffle=7, maps=(2,))
    assert isinstance(the_failure(machine.end(last)), errors.AttemptsExhaustedError)


@pytest.mark.parametrize(
    "details", [{}, {"shuffle": 7}, {"shuffle": 9, "maps": (0,)}, {"shuffle": 7, "maps": (5,)}]
)
def test_a_fetch_failure_that_names_no_map_is_an_ordinary_loss(details: dict[str, Any]) -> None:
    machine = Machine(Policy(max_attempts=2))
    after_maps(machine, reduces=1)
    lost = failed(task_id(1, 0), "FetchFailedError", **details)
    assert launched(machine.end(lost)) == [task_id(1, 0, 1)]
    lost = failed(task_id(1, 0, 1), "FetchFailedError", **details)
    assert isinstance(the_failure(machine.end(lost)), errors.AttemptsExhaustedError)


def link(id: TaskId, position: int, frames: list[int] | None = None) -> TaskResult:
    statuses = (map_status(id, frames),) if frames else ()
    after = Continuation(InSource(position))
    return TaskResult(id, map_statuses=statuses, continuation=after)


def test_a_continuation_launches_the_next_link_of_the_same_attempt() -> None:
    machine = Machine(slots=1)
    machine.submit(flat_job(2))
    first = link(task_id(0, 0), 10)
    (task,) = launches(machine.end(first))
    assert (task.id, task.continuation) == (task_id(0, 0, 0, 1), first.continuation)
    assert [type(each) for each in machine.end(link(task.id, 20))] == [Launch]
    found = machine.end(value_result(task_id(0, 0, 0, 2)))
    assert delivered(found) == [
        (task_id(0, 0, 0, 0), True),
        (task_id(0, 0, 0, 1), True),
        (task_id(0, 0, 0, 2), True),
    ]
    assert done(found) == [0]


def test_a_manifest_counts_the_frames_of_all_links() -> None:
    machine = Machine()
    machine.submit(shuffle_job(1, 1))
    machine.open(7, 1)
    machine.end(link(task_id(0, 0), 1, [3]), link(task_id(0, 0, 0, 1), 2, [2]))
    (task,) = launches(machine.end(map_result(task_id(0, 0, 0, 2), [1])))
    assert task.inputs[0].split.outputs == (
        MapOutput(0, 0, 0, 3, 300),
        MapOutput(0, 0, 1, 2, 200),
        MapOutput(0, 0, 2, 1, 100),
    )


def test_a_lost_link_is_run_again_from_where_the_chain_stood() -> None:
    machine = Machine()
    machine.submit(shuffle_job(1, 1))
    machine.open(7, 1)
    first = link(task_id(0, 0), 1, [3])
    machine.end(first)
    (task,) = launches(machine.feed(AttemptLost(task_id(0, 0, 0, 1), LOST)))
    assert (task.id, task.continuation) == (task_id(0, 0, 1, 1), first.continuation)
    (task,) = launches(machine.end(map_result(task.id, [1])))
    assert task.inputs[0].split.outputs == (
        MapOutput(0, 0, 0, 3, 300),
        MapOutput(0, 1, 1, 1, 100),
    )


def test_a_chain_whose_input_was_lost_starts_over() -> None:
    machine = Machine()
    after_maps(machine, maps=1, reduces=1)
    machine.end(link(task_id(1, 0), 1))
    machine.end(failed(task_id(1, 0, 0, 1), "FetchFailedError", shuffle=7, maps=(0,)))
    (task,) = launches(machine.end(map_result(task_id(0, 0, 1), [1])))
    assert (task.id, task.continuation) == (task_id(1, 0, 1, 0), None)
    assert task.inputs[0].split.outputs[0].attempt == 1


def test_a_chain_that_stands_still_fails() -> None:
    machine = Machine()
    machine.submit(flat_job(1))
    machine.end(link(task_id(0, 0), 5))
    error = the_failure(machine.end(link(task_id(0, 0, 0, 1), 5)))
    assert isinstance(error, errors.TimedOutError)


def test_an_attempt_that_stops_unasked_was_lost() -> None:
    machine = Machine()
    machine.submit(flat_job(1))
    assert launched(machine.feed(AttemptStopped(task_id(0, 0)))) == [task_id(0, 0, 1)]


def test_a_retry_goes_before_what_never_ran() -> None:
    machine = Machine(slots=1)
    machine.submit(flat_job(3))
    assert launched(machine.feed(AttemptLost(task_id(0, 0), LOST))) == [task_id(0, 0, 1)]


def test_a_retry_waits_for_a_slot() -> None:
    machine = Machine(slots=1)
    machine.submit(flat_job(1))
    machine.feed(SlotsChanged(0))
    assert launched(machine.feed(AttemptLost(task_id(0, 0), LOST))) == []
    assert launched(machine.feed(SlotsChanged(1))) == [task_id(0, 0, 1)]


def test_the_logs_and_metrics_of_a_failed_attempt_are_told() -> None:
    machine = Machine()
    machine.submit(flat_job(1))
    failure = failed(task_id(0, 0), "TimedOutError").failure
    machine.end(TaskResult(task_id(0, 0), failure=failure, logs="last words"))
    assert [e.logs for e in machine.events if isinstance(e, events.TaskEnded)] == ["last words"]


def test_first_acceptance_counts_even_after_failures() -> None:
    machine = Machine()
    machine.submit(flat_job(1))
    machine.feed(AttemptLost(task_id(0, 0), LOST))
    result = value_result(task_id(0, 0, 1))
    assert Deliver("j", result, True) in machine.end(result)


@pytest.mark.parametrize(
    "details",
    [{}, {"shuffle": {}, "maps": (0,)}, {"shuffle": 7, "maps": 0}, {"shuffle": 7, "maps": ("0",)}],
)
def test_a_fetch_failure_that_names_nothing_sensible_costs_an_attempt(
    details: dict[str, object],
) -> None:
    machine = Machine()
    machine.submit(shuffle_job(1, 1))
    machine.open(7, 1)
    machine.end(map_result(task_id(0, 0), [1]))
    for attempt in range(3):
        again = machine.end(failed(task_id(1, 0, attempt), "FetchFailedError", "x", **details))
        assert launched(again) == [task_id(1, 0, attempt + 1)]

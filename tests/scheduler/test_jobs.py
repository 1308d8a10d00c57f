"""How jobs end: failed, cancelled, released, late."""

from __future__ import annotations

from aflint import errors, events
from aflint.scheduler.messages import (
    AttemptEnded,
    AttemptLost,
    AttemptStopped,
    CloseShuffle,
    FailJob,
    JobCancelled,
    JobOver,
    JobReleased,
    JobSubmitted,
    PartitionsRequested,
    ShuffleClosed,
    ShuffleOpened,
    ShuffleOpenFailed,
    Stop,
    Tick,
    WakeAt,
)
from tests.scheduler.builders import (
    Machine,
    diamond_job,
    flat_job,
    handle,
    launched,
    map_result,
    map_status,
    shuffle_job,
    task_id,
    value_result,
)

STOP = errors.JobCancelledError("enough")


def test_a_released_job_closes_its_shuffles_and_is_over() -> None:
    machine = Machine()
    machine.submit(shuffle_job(1, 1))
    machine.open(7, 1)
    machine.end(map_result(task_id(0, 0), [1]), value_result(task_id(1, 0)))
    whole = {0: (map_status(task_id(0, 0), [1]),)}  # a later job may want it
    assert machine.feed(JobReleased("j")) == [CloseShuffle("j", 7, handle(7, 1), whole)]
    assert machine.feed(ShuffleClosed("j", 7)) == [JobOver("j")]
    assert machine.events[-1] == events.JobEnded("j", "")
    assert machine.jobs == ()


def test_a_job_that_opened_nothing_is_over_at_once() -> None:
    machine = Machine()
    assert machine.feed(JobSubmitted(flat_job(1)), JobReleased("j")) == [JobOver("j")]


def test_a_released_job_stops_what_still_runs() -> None:
    machine = Machine()
    machine.submit(flat_job(2))
    assert machine.feed(JobReleased("j", "ValueError: x")) == [
        Stop(task_id(0, 0)),
        Stop(task_id(0, 1)),
    ]
    assert machine.feed(AttemptStopped(task_id(0, 0))) == []
    assert machine.feed(AttemptStopped(task_id(0, 1))) == [JobOver("j")]
    assert machine.events[-1] == events.JobEnded("j", "ValueError: x")


def test_a_cancelled_job_stops_then_closes_then_is_over() -> None:
    machine = Machine()
    machine.submit(diamond_job())
    machine.open(10, 2)
    machine.open(11, 2)
    running = [task_id(0, 0), task_id(0, 1), task_id(1, 0), task_id(1, 1)]
    assert machine.feed(JobCancelled("j", STOP)) == [
        FailJob("j", STOP),
        *(Stop(id) for id in running),
    ]
    assert machine.feed(*(AttemptStopped(id) for id in running[:3])) == []
    assert machine.feed(AttemptStopped(running[3])) == [
        CloseShuffle("j", 10, handle(10, 2)),
        CloseShuffle("j", 11, handle(11, 2)),
    ]
    assert machine.feed(ShuffleClosed("j", 11)) == []
    assert machine.feed(ShuffleClosed("j", 10)) == [JobOver("j")]
    assert machine.events[-1] == events.JobEnded("j", "JobCancelledError: enough")


def test_a_result_that_comes_while_it_is_being_stopped_frees_the_slot_only() -> None:
    machine = Machine()
    machine.submit(flat_job(1))
    machine.feed(JobCancelled("j", STOP))
    assert machine.end(value_result(task_id(0, 0))) == [JobOver("j")]


def test_a_loss_while_it_is_being_stopped_is_no_second_failure() -> None:
    machine = Machine()
    machine.submit(flat_job(1))
    machine.feed(JobCancelled("j", STOP))
    error = errors.WorkerLostError("gone")
    assert machine.feed(AttemptLost(task_id(0, 0), error)) == [JobOver("j")]


def test_only_the_first_failure_counts() -> None:
    machine = Machine()
    machine.submit(flat_job(1))
    machine.feed(JobCancelled("j", STOP))
    assert machine.feed(JobCancelled("j", STOP), JobReleased("j")) == []


def test_cancelling_one_job_leaves_the_other_alone() -> None:
    machine = Machine(slots=2)
    machine.submit(flat_job(2, "a"))
    machine.submit(flat_job(2, "b"))
    found = machine.feed(JobCancelled("a", STOP))
    assert found[1:] == [Stop(task_id(0, 0, job="a")), Stop(task_id(0, 1, job="a"))]
    assert launched(machine.feed(AttemptStopped(task_id(0, 0, job="a")))) == [
        task_id(0, 0, job="b")
    ]
    found = machine.feed(AttemptStopped(task_id(0, 1, job="a")))
    assert found[0] == JobOver("a")
    assert launched(found) == [task_id(0, 1, job="b")]


def test_a_shuffle_that_cannot_be_opened_fails_the_job() -> None:
    machine = Machine()
    machine.submit(shuffle_job(1, 1))
    error = errors.DiskFullError("no room")
    assert machine.feed(ShuffleOpenFailed("j", 7, error)) == [FailJob("j", error), JobOver("j")]


def test_a_shuffle_that_is_being_opened_is_waited_for_and_closed() -> None:
    machine = Machine()
    machine.submit(shuffle_job(1, 1))
    assert machine.feed(JobCancelled("j", STOP)) == [FailJob("j", STOP)]
    assert machine.open(7, 1) == [CloseShuffle("j", 7, handle(7, 1))]
    assert machine.feed(ShuffleClosed("j", 7)) == [JobOver("j")]


def test_a_shuffle_that_fails_to_open_while_the_job_ends_is_done_with() -> None:
    machine = Machine()
    machine.submit(shuffle_job(1, 1))
    machine.feed(JobReleased("j"))
    assert machine.feed(ShuffleOpenFailed("j", 7, OSError("late"))) == [JobOver("j")]


def test_nothing_of_an_ending_job_is_launched() -> None:
    machine = Machine()
    machine.submit(flat_job(3), [0])
    machine.feed(JobReleased("j"))
    assert machine.feed(PartitionsRequested("j", (1, 2))) == []


def test_a_backoff_that_ends_after_its_job_is_over_wakes_nobody() -> None:
    machine = Machine()
    machine.submit(flat_job(1))
    (wake,) = machine.feed(AttemptLost(task_id(0, 0), errors.ThrottledError("429")))
    assert machine.feed(JobCancelled("j", STOP)) == [FailJob("j", STOP), JobOver("j")]
    assert isinstance(wake, WakeAt)
    machine.now = wake.time
    assert machine.feed(Tick()) == []


def test_what_is_unknown_changes_nothing() -> None:
    machine = Machine()
    machine.submit(flat_job(1))
    before = machine.running
    assert (
        machine.feed(
            JobSubmitted(flat_job(1)),
            PartitionsRequested("x", (0,)),
            ShuffleOpened("x", 1, handle(1, 1)),
            ShuffleOpened("j", 1, handle(1, 1)),
            ShuffleOpenFailed("j", 1, STOP),
            ShuffleClosed("j", 1),
            AttemptEnded(value_result(task_id(0, 0, 9))),
            AttemptLost(task_id(5, 0), STOP),
            AttemptStopped(task_id(0, 0, job="x")),
            JobCancelled("x", STOP),
            JobReleased("x"),
            Tick(),
        )
        == []
    )
    assert machine.running == before


def test_a_shuffle_opened_twice_runs_its_maps_once() -> None:
    machine = Machine()
    machine.submit(shuffle_job(1, 1))
    assert launched(machine.open(7, 1)) == [task_id(0, 0)]
    assert machine.open(7, 1) == []


def test_an_id_may_be_used_again_once_its_job_is_over() -> None:
    machine = Machine()
    machine.submit(flat_job(1))
    machine.feed(JobReleased("j"), AttemptStopped(task_id(0, 0)))
    assert launched(machine.submit(flat_job(1))) == [task_id(0, 0)]

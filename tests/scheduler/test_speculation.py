from __future__ import annotations

from aflint.errors import WorkerLostError
from aflint.scheduler.messages import AttemptLost, AttemptStopped, Launch, Stop, Tick, WakeAt
from aflint.scheduler.policy import Policy
from tests.scheduler.builders import (
    Machine,
    delivered,
    done,
    flat_job,
    launched,
    map_result,
    shuffle_job,
    task_id,
    value_result,
)

EAGER = Policy(speculation=True, speculation_multiplier=2.0, speculation_min_s=1.0)


def three_of_four_done(policy: Policy = EAGER) -> Machine:
    """Three tasks took 10 s each; the fourth runs, and straggles from 20 s on."""
    machine = Machine(policy)
    machine.submit(flat_job(4))
    machine.now = 10
    machine.end(*(value_result(task_id(0, p)) for p in range(3)))
    return machine


def test_a_straggler_is_run_a_second_time() -> None:
    machine = Machine(EAGER)
    machine.submit(flat_job(4))
    machine.now = 10
    assert WakeAt(20) not in machine.end(*(value_result(task_id(0, p)) for p in range(2)))
    assert WakeAt(20) in machine.end(value_result(task_id(0, 2)))
    machine.now = 19.9
    assert launched(machine.feed(Tick())) == []
    machine.now = 20
    (launch,) = machine.feed(Tick())
    assert isinstance(launch, Launch)
    assert (launch.task.id, launch.speculative) == (task_id(0, 3, 1), True)


def test_the_first_result_wins_and_the_loser_is_stopped() -> None:
    machine = three_of_four_done()
    machine.now = 20
    machine.feed(Tick())
    found = machine.end(value_result(task_id(0, 3, 1)))
    assert Stop(task_id(0, 3, 0)) in found
    assert delivered(found) == [(task_id(0, 3, 1), True)]
    assert machine.end(value_result(task_id(0, 3, 0))) == []
    assert machine.running == 0


def test_the_original_may_win() -> None:
    machine = three_of_four_done()
    machine.now = 20
    machine.feed(Tick())
    found = machine.end(value_result(task_id(0, 3, 0)))
    assert (done(found), Stop(task_id(0, 3, 1)) in found) == ([3], True)
    assert machine.feed(AttemptStopped(task_id(0, 3, 1))) == []


def test_one_that_is_lost_leaves_the_other_running() -> None:
    machine = three_of_four_done()
    machine.now = 20
    machine.feed(Tick())
    assert machine.feed(AttemptLost(task_id(0, 3, 0), WorkerLostError("gone"))) == []
    found = machine.feed(AttemptLost(task_id(0, 3, 1), WorkerLostError("gone")))
    assert launched(found) == [task_id(0, 3, 2)]


def test_a_second_attempt_waits_until_nothing_else_does() -> None:
    machine = Machine(EAGER, slots=2)
    machine.submit(flat_job(6))
    machine.now = 10
    machine.end(*(value_result(task_id(0, p)) for p in (1, 2, 3, 4)))
    machine.now = 30
    assert launched(machine.feed(Tick())) == []
    assert launched(machine.end(value_result(task_id(0, 5)))) == [task_id(0, 0, 1)]


def test_no_third_attempt() -> None:
    machine = three_of_four_done()
    machine.now = 20
    machine.feed(Tick())
    machine.now = 1000
    assert machine.feed(Tick()) == []


def test_short_tasks_are_left_alone() -> None:
    machine = Machine(Policy(speculation=True, speculation_min_s=60))
    machine.submit(flat_job(4))
    machine.now = 0.1
    assert WakeAt(60) in machine.end(*(value_result(task_id(0, p)) for p in range(3)))


def test_it_is_off_unless_policy_has_it() -> None:
    machine = three_of_four_done(Policy())
    machine.now = 1000
    assert machine.feed(Tick()) == []


def readers_wait(rereadable: bool) -> Machine:
    policy = Policy(speculation=True, speculation_multiplier=2.0, rereadable=rereadable)
    machine = Machine(policy)
    machine.submit(shuffle_job(1, 4))
    machine.open(7, 4)
    machine.end(map_result(task_id(0, 0), [1] * 4))
    machine.now = 10
    machine.end(*(value_result(task_id(1, p)) for p in range(3)))
    machine.now = 20
    return machine


def test_tasks_that_read_a_queue_are_not_run_twice_at_once() -> None:
    assert launched(readers_wait(rereadable=False).feed(Tick())) == []
    assert launched(readers_wait(rereadable=True).feed(Tick())) == [task_id(1, 3, 1)]

"""Tasks go to the executor that holds what they read, and never wait for it."""

from __future__ import annotations

from dataclasses import replace

from aflint.errors import WorkerLostError
from aflint.plan.planner import Job, Stage
from aflint.scheduler.machine import StateMachine
from aflint.scheduler.messages import AttemptEnded, AttemptLost, JobReleased
from aflint.task import BlocksSplit, Input, TaskDescription, TaskId
from tests.scheduler.builders import (
    Machine,
    failed,
    flat_job,
    launched,
    launches,
    make_job,
    program,
    value_result,
)


def cached(partition: int, held: bool = True) -> BlocksSplit:
    return BlocksSplit(f"cache/1-{partition}-x", 9, held=held)


def reading(tasks: int, id: str, held: bool = True) -> Job:
    inputs = [(Input(0, p, cached(p, held)),) for p in range(tasks)]
    return make_job(Stage(0, "stage0", program("p"), inputs, (), None), id=id)


def placing(slots: int, places: bool = True) -> Machine:
    machine = Machine(slots=slots)
    machine._state.places = places
    return machine


def ended(id: TaskId, executor: str, *stored: int) -> AttemptEnded:
    kept = tuple((1, partition, cached(partition)) for partition in stored)
    return AttemptEnded(replace(value_result(id), executor=executor, stored=kept))


def stored_by(machine: Machine, executors: str) -> None:
    """Have each partition stored by the executor of its letter."""
    waiting = launched(machine.submit(flat_job(len(executors), id="first")))
    while waiting:
        id = waiting.pop(0)
        partition = id.partition
        waiting += launched(machine.feed(ended(id, executors[partition], partition)))
    machine._state.idle = dict.fromkeys(sorted(set(executors)))


def where(tasks: list[TaskDescription]) -> list[tuple[int, str]]:
    return [(task.id.partition, task.executor) for task in tasks]


def test_each_executor_takes_its_own_first() -> None:
    machine = placing(2)
    stored_by(machine, "aabb")
    assert set(where(launches(machine.submit(reading(4, "second"))))) == {(0, "a"), (2, "b")}
    assert where(launches(machine.feed(ended(TaskId("second", 0, 2, 0), "b")))) == [(3, "b")]
    assert where(launches(machine.feed(ended(TaskId("second", 0, 0, 0), "a")))) == [(1, "a")]


def test_an_idle_executor_takes_the_last_of_whoever_has_most_left() -> None:
    machine = placing(3)
    stored_by(machine, "abbcccc")
    first = launches(machine.submit(reading(7, "second")))
    assert set(where(first)) == {(0, "a"), (1, "b"), (3, "c")}
    assert where(launches(machine.feed(ended(TaskId("second", 0, 0, 0), "a")))) == [(6, "a")]
    # What it has read it holds from now on.
    assert machine._state.holders[cached(6).path] == "c"
    machine.feed(ended(TaskId("second", 0, 6, 0), "a"))
    assert machine._state.holders[cached(6).path] == "a"


def test_nothing_waits_for_an_executor_that_is_gone() -> None:
    machine = placing(2)
    stored_by(machine, "ab")
    first = launched(machine.submit(reading(2, "second")))
    lost = next(id for id in first if id.partition == 1)
    (again,) = launches(machine.feed(AttemptLost(lost, WorkerLostError("killed"))))
    assert (again.id.partition, again.executor) == (1, "")
    machine = placing(1)
    stored_by(machine, "ab")
    machine._state.idle.clear()
    seen = []
    waiting = launches(machine.submit(reading(2, "second")))
    while waiting:
        seen.append(waiting[0].id.partition)
        waiting = launches(machine.feed(ended(waiting[0].id, "new")))
    assert sorted(seen) == [0, 1]


def test_a_failed_attempt_holds_nothing() -> None:
    machine = placing(1)
    id = launched(machine.submit(reading(1, "first")))[0]
    machine.feed(AttemptEnded(replace(failed(id, "WorkerLostError"), executor="a")))
    assert not machine._state.holders


def test_what_no_memory_holds_has_no_place() -> None:
    for held, places in ((False, True), (True, False)):
        machine = placing(1, places)
        id = launched(machine.submit(reading(1, "first", held)))[0]
        machine.feed(ended(id, "a"))
        assert not machine._state.holders
    assert not machine._state.idle


def test_forgotten_partitions_have_no_holder() -> None:
    machine = placing(2)
    stored_by(machine, "ab")
    machine.forget([cached(0).path, "unknown"])
    assert list(machine._state.holders.values()) == ["b"]


def test_a_job_that_fails_launches_nothing_that_was_placed() -> None:
    machine = placing(1)
    stored_by(machine, "aaa")
    id = launched(machine.submit(reading(3, "second")))[0]
    assert not launched(machine.feed(AttemptEnded(replace(failed(id, "TaskError"), executor="a"))))
    machine.feed(JobReleased("second"))
    assert "second" not in machine.jobs


def test_a_machine_places_only_where_it_is_told_to() -> None:
    assert StateMachine(slots=1, places=True)._state.places
    assert not StateMachine(slots=1)._state.places

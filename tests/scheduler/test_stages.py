"""Which tasks run, and when."""

from __future__ import annotations

import pytest

from aflint import events
from aflint.plan.planner import ManifestOf, PlannedShuffle, Stage
from aflint.scheduler.messages import (
    Deliver,
    JobSubmitted,
    Launch,
    OpenShuffle,
    PartitionDone,
    PartitionsRequested,
    SlotsChanged,
)
from aflint.task import Input, Manifest, MapOutput, TaskDescription
from tests.scheduler.builders import (
    SPLIT,
    Machine,
    delivered,
    diamond_job,
    done,
    flat_job,
    handle,
    launched,
    launches,
    make_job,
    map_result,
    program,
    reading_stage,
    shuffle_job,
    source_stage,
    task_id,
    value_result,
)


def test_a_job_does_nothing_until_partitions_are_requested() -> None:
    machine = Machine()
    assert machine.feed(JobSubmitted(flat_job(3))) == []
    assert machine.events == [events.JobStarted("j", "job j", (events.StageInfo(0, "stage0", 3),))]


def test_only_the_requested_partitions_run() -> None:
    machine = Machine()
    description = TaskDescription(task_id(0, 2), program("p0"), (Input(0, 2, SPLIT),))
    assert machine.submit(flat_job(5), [2]) == [Launch(description, speculative=False)]


def test_a_finished_partition_is_delivered_once() -> None:
    machine = Machine()
    machine.submit(flat_job(2), [0, 1])
    result = value_result(task_id(0, 1))
    assert machine.end(result) == [Deliver("j", result, True), PartitionDone("j", 1, result)]
    assert machine.end(result) == []


def test_more_partitions_can_be_requested_later() -> None:
    machine = Machine()
    machine.submit(flat_job(5), [0])
    machine.end(value_result(task_id(0, 0)))
    assert launched(machine.feed(PartitionsRequested("j", (1, 2)))) == [
        task_id(0, 1),
        task_id(0, 2),
    ]


def test_what_runs_is_not_started_twice() -> None:
    machine = Machine()
    machine.submit(flat_job(2), [0])
    assert machine.feed(PartitionsRequested("j", (0, 0))) == []


def test_what_was_delivered_runs_again_but_does_not_count_again() -> None:
    machine = Machine()
    machine.submit(flat_job(2), [0])
    machine.end(value_result(task_id(0, 0)))
    assert launched(machine.feed(PartitionsRequested("j", (0,)))) == [task_id(0, 0, 1)]
    found = machine.end(value_result(task_id(0, 0, 1)))
    assert (delivered(found), done(found)) == ([(task_id(0, 0, 1), False)], [0])


def test_partitions_that_are_not_there_are_ignored() -> None:
    machine = Machine()
    assert machine.submit(flat_job(2), [-1, 2]) == []


def test_a_shuffle_is_opened_before_its_maps_run_and_read_after_all_of_them() -> None:
    machine = Machine()
    assert machine.submit(shuffle_job(2, 3)) == [OpenShuffle("j", 7, 3)]
    found = machine.open(7, 3)
    assert launched(found) == [task_id(0, 0), task_id(0, 1)]
    assert [task.output for task in launches(found)] == [handle(7, 3)] * 2
    assert launched(machine.end(map_result(task_id(0, 1), [1, 0, 2]))) == []
    found = machine.end(map_result(task_id(0, 0), [1, 1, 0]))
    assert launched(found) == [task_id(1, 0), task_id(1, 1), task_id(1, 2)]
    assert [task.output for task in launches(found)] == [None] * 3


def test_a_manifest_lists_the_maps_that_wrote_something_in_order() -> None:
    machine = Machine()
    machine.submit(shuffle_job(3, 2))
    machine.open(7, 2)
    machine.end(map_result(task_id(0, 2), [5, 0]), map_result(task_id(0, 0), [3, 0]))
    first, second = launches(machine.end(map_result(task_id(0, 1), [0, 0])))
    lines = (MapOutput(0, 0, 0, 3, 300), MapOutput(2, 0, 0, 5, 500))
    assert first.inputs == (Input(0, 0, Manifest(handle(7, 2), 0, lines)),)
    assert second.inputs == (Input(0, 1, Manifest(handle(7, 2), 1, ())),)


def test_independent_stages_run_side_by_side() -> None:
    machine = Machine()
    machine.submit(diamond_job())
    assert launched(machine.open(11, 2)) == [task_id(1, 0), task_id(1, 1)]
    assert launched(machine.open(10, 2)) == [task_id(0, 0), task_id(0, 1)]
    for stage, partition in [(0, 0), (1, 0), (1, 1)]:
        assert launched(machine.end(map_result(task_id(stage, partition), [1, 1]))) == []
    found = launches(machine.end(map_result(task_id(0, 1), [1, 1])))
    assert [task.id for task in found] == [task_id(2, 0), task_id(2, 1)]
    assert [item.split.handle.shuffle for item in found[0].inputs] == [10, 11]


def test_a_chain_of_stages_opens_its_shuffles_in_order_and_runs_one_by_one() -> None:
    machine = Machine()
    job = make_job(
        source_stage(0, 1, PlannedShuffle(0, 1)),
        reading_stage(1, 1, [(0, 0)], PlannedShuffle(1, 1)),
        reading_stage(2, 1, [(1, 1)]),
    )
    assert machine.submit(job) == [OpenShuffle("j", 0, 1), OpenShuffle("j", 1, 1)]
    assert launched(machine.open(1, 1)) == []
    assert launched(machine.open(0, 1)) == [task_id(0, 0)]
    assert launched(machine.end(map_result(task_id(0, 0), [1]))) == [task_id(1, 0)]
    assert launched(machine.end(map_result(task_id(1, 0), [1]))) == [task_id(2, 0)]


def test_a_thousand_stages_in_a_row_are_no_recursion() -> None:
    stages = [source_stage(0, 1, PlannedShuffle(0, 1))]
    stages += [reading_stage(n, 1, [(n - 1, n - 1)], PlannedShuffle(n, 1)) for n in range(1, 3000)]
    job = make_job(*stages, reading_stage(3000, 1, [(2999, 2999)]))
    assert len(Machine().submit(job)) == 3000


def union_job() -> Stage:
    inputs = [(Input(0, 0, ManifestOf(10)),), (Input(1, 0, ManifestOf(11)),)]
    return Stage(2, "union", program("p2"), inputs, parents=(0, 1))


def test_only_stages_that_the_requested_partitions_read_run() -> None:
    machine = Machine()
    job = make_job(
        source_stage(0, 1, PlannedShuffle(10, 1)),
        source_stage(1, 1, PlannedShuffle(11, 1)),
        union_job(),
    )
    assert machine.submit(job, [1]) == [OpenShuffle("j", 11, 1)]
    machine.open(11, 1)
    assert launched(machine.end(map_result(task_id(1, 0), [1]))) == [task_id(2, 1)]
    assert machine.feed(PartitionsRequested("j", (0,))) == [OpenShuffle("j", 10, 1)]


def test_a_task_does_not_wait_for_a_shuffle_that_only_its_siblings_read() -> None:
    machine = Machine()
    job = make_job(
        source_stage(0, 1, PlannedShuffle(10, 1)),
        source_stage(1, 1, PlannedShuffle(11, 1)),
        union_job(),
    )
    machine.submit(job)
    machine.open(10, 1)
    machine.open(11, 1)
    assert launched(machine.end(map_result(task_id(1, 0), [1]))) == [task_id(2, 1)]


def test_a_map_stage_is_reused_by_later_requests() -> None:
    machine = Machine()
    machine.submit(shuffle_job(1, 3), [0])
    machine.open(7, 3)
    machine.end(map_result(task_id(0, 0), [1, 1, 1]), value_result(task_id(1, 0)))
    assert launched(machine.feed(PartitionsRequested("j", (2,)))) == [task_id(1, 2)]


def test_a_map_stage_without_tasks_is_complete_once_its_shuffle_is_open() -> None:
    machine = Machine()
    machine.submit(shuffle_job(0, 1))
    (task,) = launches(machine.open(7, 1))
    assert task.inputs == (Input(0, 0, Manifest(handle(7, 1), 0, ())),)


def test_one_shuffle_may_be_read_by_two_leaves() -> None:
    machine = Machine()
    job = make_job(source_stage(0, 1, PlannedShuffle(7, 1)), reading_stage(1, 1, [(0, 7), (0, 7)]))
    machine.submit(job)
    machine.open(7, 1)
    (task,) = launches(machine.end(map_result(task_id(0, 0), [4])))
    assert [item.split.outputs[0].frames for item in task.inputs] == [4, 4]


def test_no_more_run_than_there_are_slots() -> None:
    machine = Machine(slots=2)
    assert launched(machine.submit(flat_job(4))) == [task_id(0, 0), task_id(0, 1)]
    assert launched(machine.end(value_result(task_id(0, 1)))) == [task_id(0, 2)]
    assert launched(machine.feed(SlotsChanged(3))) == [task_id(0, 3)]


def test_fewer_slots_stop_nothing() -> None:
    machine = Machine(slots=2)
    machine.submit(flat_job(4))
    assert machine.feed(SlotsChanged(1)) == []
    assert launched(machine.end(value_result(task_id(0, 0)))) == []
    assert launched(machine.end(value_result(task_id(0, 1)))) == [task_id(0, 2)]


def test_jobs_take_turns() -> None:
    machine = Machine(slots=1)
    machine.submit(flat_job(3, "a"))
    machine.submit(flat_job(3, "b"))
    order = [task_id(0, 0, job="a")]
    while len(order) < 6:
        order += launched(machine.end(value_result(order[-1])))
    assert [(id.job, id.partition) for id in order] == [
        ("a", 0), ("a", 1), ("b", 0), ("a", 2), ("b", 1), ("b", 2),
    ]  # fmt: skip


def test_a_job_that_comes_late_gets_every_second_slot() -> None:
    machine = Machine(slots=2)
    machine.submit(flat_job(100, "a"))
    machine.submit(flat_job(2, "b"))
    first = launched(machine.end(value_result(task_id(0, 0, job="a"))))
    second = launched(machine.end(value_result(task_id(0, 1, job="a"))))
    assert {id.job for id in first + second} == {"a", "b"}


def test_events_tell_the_story_in_order() -> None:
    machine = Machine()
    machine.submit(shuffle_job(1, 1))
    machine.open(7, 1)
    machine.end(map_result(task_id(0, 0), [1]), value_result(task_id(1, 0)))
    assert [type(event).__name__ for event in machine.events] == [
        "JobStarted", "StageStarted", "TaskStarted", "TaskEnded", "StageEnded",
        "StageStarted", "TaskStarted", "TaskEnded", "StageEnded",
    ]  # fmt: skip


def test_a_result_stage_ends_when_all_its_partitions_are_there() -> None:
    machine = Machine()
    machine.submit(flat_job(2), [0])
    machine.end(value_result(task_id(0, 0)))
    assert events.StageEnded("j", 0) not in machine.events
    machine.feed(PartitionsRequested("j", (1,)))
    machine.end(value_result(task_id(0, 1)))
    assert machine.events.count(events.StageEnded("j", 0)) == 1


@pytest.mark.parametrize("reduces", [0, 1])
def test_requesting_nothing_is_fine(reduces: int) -> None:
    assert Machine().submit(shuffle_job(2, reduces), []) == []

"""Skewed reduce partitions are combined in shares: which, when, and what is read in the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aflint import events
from aflint.errors import WorkerLostError
from aflint.map_outputs import map_status
from aflint.plan.adaptive import Skew
from aflint.plan.planner import Job, ManifestOf, PlannedShuffle
from aflint.scheduler.messages import (
    AttemptLost,
    CloseShuffle,
    JobReleased,
    JobSubmitted,
    KeptOutput,
    Launch,
    PartitionsRequested,
    Recovery,
)
from aflint.scheduler.policy import Policy
from aflint.task import (
    Extent,
    Input,
    Manifest,
    TaskDescription,
    TaskFailure,
    TaskId,
    TaskResult,
)
from tests.scheduler.builders import (
    Machine,
    done,
    handle,
    launched,
    launches,
    make_job,
    reading_stage,
    source_stage,
    task_id,
    value_result,
)

SPLITS = Policy(skew=Skew(1000))
MAPS = 9
SHARES = [(0, 3), (3, 6), (6, 9)]


def a_job(maps: int = MAPS, *, combined: bool = True) -> Job:
    """Stage 0 writes shuffle 7 for three partitions, which stage 1 reads."""
    return make_job(
        source_stage(0, maps, PlannedShuffle(7, 3, combined=combined)),
        reading_stage(1, 3, [(0, 7)]),
    )


def wrote(id: TaskId, sizes: Sequence[int], in_object: bool = False) -> TaskResult:
    frames = [int(size > 0) for size in sizes]
    place = id.partition, id.attempt, id.link
    extents = {p: (Extent(0, size + 4),) for p, size in enumerate(sizes)} if in_object else None
    return TaskResult(id, map_statuses=(map_status(place, frames, sizes, extents=extents),))


def skewed(id: TaskId, in_object: bool = False) -> TaskResult:
    return wrote(id, [10, 500, 10], in_object)


def share(id: TaskId, size: int = 500) -> TaskResult:
    return wrote(id, [0, size, 0])


def after_the_maps(
    policy: Policy = SPLITS, job: Job | None = None, *, in_object: bool = False
) -> tuple[Machine, list[TaskDescription]]:
    """Return a machine in which all maps are done, and what it launched then."""
    machine = Machine(policy)
    job = job or a_job()
    machine.submit(job)
    ids = launched(machine.open(7, 3))
    return machine, launches(machine.end(*(skewed(id, in_object) for id in ids)))


def maps_read(task: TaskDescription) -> list[int]:
    (item,) = task.inputs
    assert isinstance(item.split, Manifest)
    return [output.map for output in item.split.outputs]


def partitions(tasks: Sequence[TaskDescription]) -> list[tuple[int, int]]:
    return [(task.id.stage, task.id.partition) for task in tasks]


def test_a_skewed_partition_is_combined_in_shares_and_merged_by_its_own_task() -> None:
    machine, first = after_the_maps()
    # The others are read at once; of the skewed partition one share is tried.
    assert sorted(partitions(first)) == [(0, 9), (1, 0), (1, 2)]
    trial = next(task for task in first if task.id.stage == 0)
    assert maps_read(trial) == [0, 1, 2]
    assert trial.inputs[0].split.partition == 1
    assert trial.output == handle(7, 3)
    assert trial.program == a_job().stages[0].program
    others = launches(machine.end(share(trial.id)))
    assert partitions(others) == [(0, 10), (0, 11)]
    assert [maps_read(task) for task in others] == [[3, 4, 5], [6, 7, 8]]
    assert launches(machine.end(share(others[1].id))) == []
    (last,) = launches(machine.end(share(others[0].id)))
    assert last.id == task_id(1, 1)
    assert maps_read(last) == [9, 10, 11]
    assert done(machine.end(value_result(last.id))) == [1]


def test_listeners_hear_of_the_tasks_and_the_stage_ends_with_them() -> None:
    machine, first = after_the_maps()
    assert events.TasksAdded("j", 0, partition=1, tasks=1) in machine.events
    (trial,) = (task for task in first if task.id.stage == 0)
    others = launches(machine.end(share(trial.id)))
    assert events.TasksAdded("j", 0, partition=1, tasks=2) in machine.events
    assert events.StageEnded("j", 0) not in machine.events
    machine.end(*(share(task.id) for task in others))
    assert machine.events.count(events.StageEnded("j", 0)) == 1
    assert machine.events.count(events.StageStarted("j", 0)) == 1


def test_where_the_first_share_hardly_shrinks_the_partition_is_read_as_it_is() -> None:
    machine, first = after_the_maps()
    (trial,) = (task for task in first if task.id.stage == 0)
    (last,) = launches(machine.end(share(trial.id, 751)))
    assert last.id == task_id(1, 1)
    assert maps_read(last) == list(range(MAPS))
    assert machine.events.count(events.StageEnded("j", 0)) == 1


@pytest.mark.parametrize(
    ("policy", "job"),
    [
        (Policy(), a_job()),  # it is switched off
        (Policy(skew=Skew(4500)), a_job()),  # too small
        (Policy(skew=Skew(1000, fewest_slots=101)), a_job()),  # too few to run shares beside
        (Policy(skew=Skew(1000, factor=50.0)), a_job()),  # not large beside the others
        (SPLITS, a_job(combined=False)),  # nothing that could be combined again
        (SPLITS, a_job(5)),  # of few maps
    ],
)
def test_other_partitions_are_not_split(policy: Policy, job: Job) -> None:
    _, first = after_the_maps(policy, job)
    assert partitions(first) == [(1, 0), (1, 1), (1, 2)]


def test_what_no_task_reads_is_not_split_nor_what_only_a_part_is_read_of() -> None:
    machine = Machine(SPLITS)
    machine.submit(a_job(), [0, 2])
    ids = launched(machine.open(7, 3))
    assert partitions(launches(machine.end(*map(skewed, ids)))) == [(1, 0), (1, 2)]
    # Asked for later, it is read as it is: the shuffle was looked at once.
    (late,) = launches(machine.feed(PartitionsRequested("j", (1,))))
    assert maps_read(late) == list(range(MAPS))
    inputs = [(Input(0, 0, ManifestOf(7, 1, (0, 4))),), (Input(0, 1, ManifestOf(7, 1, (4, 9))),)]
    pieces = replace(reading_stage(1, 2, [(0, 7)]), inputs=inputs)
    _, first = after_the_maps(job=make_job(a_job().stages[0], pieces))
    assert [maps_read(task) for task in first] == [[0, 1, 2, 3], [4, 5, 6, 7, 8]]


def test_a_queue_is_read_by_one_task_but_what_lies_in_objects_is_split() -> None:
    policy = replace(SPLITS, rereadable=False)
    assert partitions(after_the_maps(policy)[1]) == [(1, 0), (1, 1), (1, 2)]
    machine, first = after_the_maps(policy, in_object=True)
    (trial,) = (task for task in first if task.id.stage == 0)
    assert partitions(launches(machine.end(share(trial.id)))) == [(0, 10), (0, 11)]  # side by side


def test_a_share_that_is_lost_is_made_again_of_the_same_maps() -> None:
    machine, first = after_the_maps()
    (trial,) = (task for task in first if task.id.stage == 0)
    others = launches(machine.end(share(trial.id)))
    (last,) = launches(machine.end(*(share(task.id) for task in others)))
    lost = TaskFailure("FetchFailedError", "gone", {"shuffle": 7, "maps": (10,)})
    (again,) = launches(machine.end(TaskResult(last.id, failure=lost)))
    assert again.id == task_id(0, 10, 1)
    assert maps_read(again) == [3, 4, 5]
    # One of the maps is lost as well: it is run again before the share.
    lost = TaskFailure("FetchFailedError", "gone", {"shuffle": 7, "maps": (4,)})
    (map_again,) = launches(machine.end(TaskResult(again.id, failure=lost)))
    assert map_again.id == task_id(0, 4, 1)
    (again,) = launches(machine.end(wrote(map_again.id, [10, 5000, 10])))
    assert maps_read(again) == [3, 4, 5]
    (last,) = launches(machine.end(share(again.id)))
    assert last.id == task_id(1, 1, 1)
    (item,) = last.inputs
    assert [(o.map, o.attempt) for o in item.split.outputs] == [(9, 0), (10, 2), (11, 0)]


def test_a_shuffle_is_kept_without_its_shares_and_read_as_it_is_by_later_jobs() -> None:
    machine, first = after_the_maps()
    (trial,) = (task for task in first if task.id.stage == 0)
    others = launches(machine.end(share(trial.id)))
    (last,) = launches(machine.end(*(share(task.id) for task in others)))
    ends = [value_result(task.id) for task in (*first, last) if task.id.stage == 1]
    machine.end(*ends)
    found = machine.feed(JobReleased("j"))
    (close,) = (each for each in found if isinstance(each, CloseShuffle))
    assert close.outputs is not None
    assert sorted(close.outputs) == list(range(MAPS))
    left = Recovery(kept={7: KeptOutput(handle(7, 3), close.outputs, loans=1)})
    later = Machine(SPLITS)
    found = later.feed(JobSubmitted(a_job(), left), PartitionsRequested("j", (0, 1, 2)))
    assert partitions(launches(found)) == [(1, 0), (1, 1), (1, 2)]


def test_a_job_that_is_cancelled_leaves_no_share_behind() -> None:
    machine, first = after_the_maps()
    machine.feed(JobReleased("j"))
    for task in first:
        machine.feed(AttemptLost(task.id, WorkerLostError("stopped")))
    assert machine.running == 0


# Whatever is lost, each map counts once.


def outcome(task: TaskDescription, values: dict[tuple[int, int, int], int]) -> int:
    """Return what a task comes to that adds up all that it reads; a map's own value is a power of
    two.
    """
    if not isinstance(task.inputs[0].split, Manifest):
        return 1 << task.id.partition
    return sum(
        values[task.inputs[0].split.partition, output.map, output.attempt]
        for output in task.inputs[0].split.outputs
    )


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), maps=st.integers(6, 16), speculation=st.booleans())
def test_each_map_counts_once_whatever_is_lost(seed: int, maps: int, speculation: bool) -> None:
    random = Random(seed)
    policy = Policy(
        skew=Skew(1, factor=0.1), max_attempts=50, max_fetch_rounds=50, speculation=speculation
    )
    machine = Machine(policy, slots=random.randint(1, 8))
    running = {task.id: task for task in launches(machine.submit(a_job(maps)))}
    running |= {task.id: task for task in launches(machine.open(7, 3))}
    values: dict[tuple[int, int, int], int] = {}
    answers: dict[int, int] = {}
    losses = 20
    while running:
        machine.now += random.random() * 3
        task = running.pop(random.choice(list(running)))
        item = task.inputs[0].split
        lucky = losses <= 0 or random.random() < 0.7
        losses -= not lucky
        if lucky:
            total = outcome(task, values)
            if task.id.stage == 1:
                answers.setdefault(task.id.partition, total)
                found = machine.end(value_result(task.id))
            else:
                own = isinstance(item, Manifest)
                for p in [item.partition] if own else range(3):
                    values[p, task.id.partition, task.id.attempt] = total
                size = random.choice((60, 200))
                sizes = [size * (not own or p == item.partition) for p in range(3)]
                found = machine.end(wrote(task.id, sizes))
        elif isinstance(item, Manifest) and random.random() < 0.6:
            lost = random.choice(list(item.outputs)).map
            failure = TaskFailure("FetchFailedError", "gone", {"shuffle": 7, "maps": (lost,)})
            found = machine.end(TaskResult(task.id, failure=failure))
        else:
            found = machine.feed(AttemptLost(task.id, WorkerLostError("gone")))
        running |= {each.task.id: each.task for each in found if isinstance(each, Launch)}
    assert answers == dict.fromkeys(range(3), (1 << maps) - 1)


# The decision by itself.


@given(
    by_map=st.lists(st.sampled_from([0, 0, 1, 7, 50, 400]), max_size=60),
    least=st.sampled_from([1, 8, 800]),
)
def test_shares_are_of_all_maps_each_once_and_in_their_order(by_map: list[int], least: int) -> None:
    ranges = Skew(least).shares(by_map)
    assert [m for start, end in ranges for m in range(start, end)] in ([], list(range(len(by_map))))
    assert not ranges or len(ranges) >= 3
    assert all(start < end for start, end in ranges)


@given(st.lists(st.integers(0, 10_000), max_size=30), st.sampled_from([0, 1, 900]))
def test_what_is_skewed_is_larger_than_both_bounds(sizes: list[int], least: int) -> None:
    bounds = (least, 5 * median(sizes)) if sizes else ()
    large = [p for p, size in enumerate(sizes) if least and all(size > each for each in bounds)]
    assert Skew(least).skewed(sizes) == large


def test_as_many_shares_as_a_share_has_maps() -> None:
    assert len(Skew(1).shares([100] * 100)) == 10
    assert len(Skew(1).shares([100] * 6)) == 3
    assert Skew(1).shares([100] * 5) == []
    assert Skew(10_000).shares([100] * 10) == []  # each would have too little to do

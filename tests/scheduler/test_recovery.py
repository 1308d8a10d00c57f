"""A job that a driver before this one had begun."""

from __future__ import annotations

from aflint import events
from aflint.plan.planner import Job, PlannedShuffle
from aflint.scheduler.messages import (
    GENERATION_BITS,
    AttemptEnded,
    CloseShuffle,
    JobOver,
    JobReleased,
    JobSubmitted,
    OpenShuffle,
    PartitionDone,
    PartitionsRequested,
    Recovery,
    ShuffleClosed,
    Tick,
)
from aflint.scheduler.policy import Policy
from aflint.task import Manifest, TaskResult
from tests.scheduler.builders import (
    Machine,
    delivered,
    failed,
    handle,
    launched,
    launches,
    make_job,
    map_result,
    reading_stage,
    shuffle_job,
    source_stage,
    task_id,
    value_result,
)

FIRST = 1 << GENERATION_BITS
"""The number of the first attempt under the second driver."""


def kept(*results: TaskResult) -> dict[tuple[int, int], tuple[TaskResult, ...]]:
    return {(result.id.stage, result.id.partition): (result,) for result in results}


def maps(*partitions: int) -> dict[tuple[int, int], tuple[TaskResult, ...]]:
    return kept(*(map_result(task_id(0, p), [1, 1]) for p in partitions))


def resumed(
    results: dict[tuple[int, int], tuple[TaskResult, ...]], *shuffles: int, readers_s: float = 0.0
) -> Recovery:
    handles = {shuffle: handle(shuffle, 2) for shuffle in shuffles}
    return Recovery(1, handles, results, frozenset(results), readers_s)


def submit(machine: Machine, job: Job, recovery: Recovery) -> list[object]:
    wanted = tuple(range(job.result_stage.tasks))
    return [*machine.feed(JobSubmitted(job, recovery), PartitionsRequested(job.id, wanted))]


def chain_job() -> Job:
    """Stage 0 writes shuffle 7 for stage 1, which writes shuffle 8 for stage 2."""
    return make_job(
        source_stage(0, 2, PlannedShuffle(7, 2)),
        reading_stage(1, 2, [(0, 7)], PlannedShuffle(8, 2)),
        reading_stage(2, 2, [(1, 8)]),
    )


def test_accepted_map_tasks_do_not_run_again() -> None:
    machine = Machine()
    found = submit(machine, shuffle_job(4, 2), resumed(maps(0, 1, 3), 7))
    assert launched(found) == [task_id(0, 2, FIRST)]  # type: ignore[arg-type]
    assert not [each for each in found if isinstance(each, OpenShuffle)]
    recovered = [e.id for e in machine.events if isinstance(e, events.TaskRecovered)]
    assert recovered == [task_id(0, p) for p in (0, 1, 3)]


def test_readers_are_told_of_old_and_new_output() -> None:
    machine = Machine()
    submit(machine, shuffle_job(2, 1), resumed(maps(0), 7))
    (reader,) = launches(machine.end(map_result(task_id(0, 1, FIRST), [1, 1])))
    manifest = reader.inputs[0].split
    assert isinstance(manifest, Manifest)
    assert [(out.map, out.attempt) for out in manifest.outputs] == [(0, 0), (1, FIRST)]
    assert reader.id == task_id(1, 0, FIRST)


def test_a_whole_stage_is_read_at_once() -> None:
    machine = Machine()
    found = submit(machine, shuffle_job(2, 2), resumed(maps(0, 1), 7))
    assert launched(found) == [  # type: ignore[arg-type]
        task_id(1, 0, FIRST),
        task_id(1, 1, FIRST),
    ]
    assert events.StageEnded("j", 0) in machine.events


def test_results_are_given_as_they_were() -> None:
    machine = Machine()
    old = value_result(task_id(1, 0))
    found = submit(machine, shuffle_job(2, 2), resumed(maps(0, 1) | kept(old), 7))
    assert [each for each in found if isinstance(each, PartitionDone)] == [
        PartitionDone("j", 0, old)
    ]
    assert launched(found) == [task_id(1, 1, FIRST)]  # type: ignore[arg-type]
    assert not delivered(found)  # type: ignore[arg-type]


def test_nothing_is_opened_or_run_for_a_job_whose_results_are_all_there() -> None:
    machine = Machine()
    results = kept(*(value_result(task_id(1, p)) for p in range(2)))
    found = submit(machine, shuffle_job(2, 2), resumed(results))
    assert [type(each) for each in found] == [PartitionDone, PartitionDone]
    assert machine.feed(JobReleased("j")) == [JobOver("j")]


def test_a_value_that_was_not_written_down_is_computed_again() -> None:
    machine = Machine()
    results = maps(0, 1) | kept(TaskResult(task_id(1, 0)))
    found = submit(machine, shuffle_job(2, 1), resumed(results, 7))
    assert launched(found) == [task_id(1, 0, FIRST)]  # type: ignore[arg-type]
    done = machine.end(value_result(task_id(1, 0, FIRST)))
    assert delivered(done) == [(task_id(1, 0, FIRST), False)]  # it was counted before


def test_output_of_a_shuffle_that_is_gone_is_made_again_but_not_counted_twice() -> None:
    machine = Machine()
    found = submit(machine, shuffle_job(2, 1), resumed(maps(0, 1)))
    assert [type(each) for each in found] == [OpenShuffle]
    opened = machine.open(7, 1)
    assert launched(opened) == [task_id(0, 0, FIRST), task_id(0, 1, FIRST)]
    ended = machine.end(map_result(task_id(0, 0, FIRST), [1]))
    assert delivered(ended) == [(task_id(0, 0, FIRST), False)]


def test_what_only_accepted_tasks_read_is_not_made_again() -> None:
    machine = Machine()
    second = kept(*(map_result(task_id(1, p), [1, 1]) for p in range(2)))
    found = submit(machine, chain_job(), resumed(maps(0, 1) | second, 8))
    assert launched(found) == [  # type: ignore[arg-type]
        task_id(2, 0, FIRST),
        task_id(2, 1, FIRST),
    ]
    assert not [each for each in found if isinstance(each, OpenShuffle)]


def test_lost_output_is_recomputed_with_all_that_it_takes() -> None:
    machine = Machine()
    second = kept(*(map_result(task_id(1, p), [1, 1]) for p in range(2)))
    submit(machine, chain_job(), resumed(second, 8))
    lost = failed(task_id(2, 0, FIRST), "FetchFailedError", shuffle=8, maps=(1,))
    assert machine.end(lost) == [OpenShuffle("j", 7, 2)]
    opened = machine.open(7, 2)
    assert launched(opened) == [task_id(0, 0, FIRST), task_id(0, 1, FIRST)]
    ended = machine.end(*(map_result(task_id(0, p, FIRST), [1, 1]) for p in range(2)))
    assert launched(ended) == [task_id(1, 1, FIRST)]
    again = machine.end(map_result(task_id(1, 1, FIRST), [1, 1]))
    assert launched(again) == [task_id(2, 0, FIRST + 1)]


def test_recovered_shuffles_are_closed_with_their_job() -> None:
    machine = Machine()
    results = kept(*(value_result(task_id(1, p)) for p in range(2)))
    submit(machine, shuffle_job(2, 2), resumed(results, 7))
    assert machine.feed(JobReleased("j")) == [CloseShuffle("j", 7, handle(7, 2))]
    assert machine.feed(ShuffleClosed("j", 7)) == [JobOver("j")]


def test_frames_that_a_dead_drivers_reader_may_hide_are_waited_for() -> None:
    machine = Machine(Policy(rereadable=False))
    submit(machine, shuffle_job(1, 1), resumed(maps(0), 7, readers_s=900.0))
    machine.now = 60.0
    hidden = failed(task_id(1, 0, FIRST), "FetchFailedError", shuffle=7, maps=(0,), waited=True)
    assert not launched(machine.feed(AttemptEnded(hidden)))  # later, and not the map task
    machine.now = 90.0
    assert launched(machine.feed(Tick())) == [task_id(1, 0, FIRST + 1)]
    machine.now = 1000.0
    late = failed(task_id(1, 0, FIRST + 1), "FetchFailedError", shuffle=7, maps=(0,), waited=True)
    assert launched(machine.feed(AttemptEnded(late))) == [task_id(0, 0, FIRST)]


def test_frames_known_to_be_lost_are_not_waited_for() -> None:
    machine = Machine(Policy(rereadable=False))
    submit(machine, shuffle_job(1, 1), resumed(maps(0), 7, readers_s=900.0))
    gone = failed(task_id(1, 0, FIRST), "FetchFailedError", shuffle=7, maps=(0,))
    assert launched(machine.feed(AttemptEnded(gone))) == [task_id(0, 0, FIRST)]

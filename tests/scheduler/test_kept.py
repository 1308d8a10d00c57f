"""Shuffles that earlier jobs left, and partitions that one task at a time may read."""

from __future__ import annotations

from dataclasses import replace

from aflint import events
from aflint.errors import JobCancelledError, WorkerLostError
from aflint.plan.planner import Job, ManifestOf, PlannedShuffle
from aflint.scheduler.messages import (
    LOAN_BITS,
    AttemptEnded,
    AttemptLost,
    AttemptStopped,
    CloseShuffle,
    Instruction,
    JobCancelled,
    JobOver,
    JobReleased,
    JobSubmitted,
    KeptOutput,
    OpenShuffle,
    PartitionsRequested,
    Recovery,
    ShuffleClosed,
)
from aflint.scheduler.policy import Policy
from aflint.task import Input, Manifest, MapStatus
from tests.scheduler.builders import (
    Machine,
    failed,
    handle,
    launched,
    launches,
    make_job,
    map_result,
    map_status,
    reading_stage,
    shuffle_job,
    source_stage,
    task_id,
    value_result,
)

AGAIN = 1 << LOAN_BITS
"""The number of the first attempt in the first job that is lent a shuffle."""


def outputs(maps: int) -> dict[int, tuple[MapStatus, ...]]:
    return {p: (map_status(task_id(0, p, job="before"), [1, 1]),) for p in range(maps)}


def left(maps: int = 2) -> Recovery:
    return Recovery(kept={7: KeptOutput(handle(3, 2, "before"), outputs(maps), loans=1)})


def submit(machine: Machine, job: Job, recovery: Recovery) -> list[Instruction]:
    wanted = tuple(range(job.result_stage.tasks))
    return machine.feed(JobSubmitted(job, recovery), PartitionsRequested(job.id, wanted))


def closed(instructions: list[Instruction]) -> list[CloseShuffle]:
    return [each for each in instructions if isinstance(each, CloseShuffle)]


def test_a_stage_whose_output_is_there_is_skipped() -> None:
    machine = Machine()
    found = submit(machine, shuffle_job(2, 2), left())
    assert launched(found) == [task_id(1, 0), task_id(1, 1)]
    assert not any(isinstance(each, OpenShuffle) for each in found)
    assert events.StageSkipped("j", 0) in machine.events
    split = launches(found)[0].inputs[0].split
    assert isinstance(split, Manifest)
    assert split.handle == handle(3, 2, "before")
    assert [output.map for output in split.outputs] == [0, 1]
    machine.end(value_result(task_id(1, 0)), value_result(task_id(1, 1)))
    assert not [
        each
        for each in machine.events
        if isinstance(each, events.StageStarted | events.StageEnded) and each.stage == 0
    ]


def test_stages_that_only_a_skipped_one_reads_are_skipped_too() -> None:
    job = make_job(
        source_stage(0, 2, PlannedShuffle(6, 2)),
        reading_stage(1, 2, [(0, 6)], PlannedShuffle(7, 2)),
        reading_stage(2, 2, [(1, 7)]),
    )
    machine = Machine()
    assert launched(submit(machine, job, left())) == [task_id(2, 0), task_id(2, 1)]
    skipped = [each.stage for each in machine.events if isinstance(each, events.StageSkipped)]
    assert skipped == [0, 1]


def test_what_is_lost_of_it_is_made_again_under_numbers_of_its_own() -> None:
    machine = Machine()
    submit(machine, shuffle_job(2, 2), left())
    lost = failed(task_id(1, 0), "FetchFailedError", job="before", shuffle=3, maps=(1,))
    found = machine.end(lost)
    assert launched(found) == [task_id(0, 1, AGAIN)]
    assert launches(found)[0].output == handle(3, 2, "before")
    found = machine.end(map_result(task_id(0, 1, AGAIN), [1, 1]))
    (again,) = launches(found)
    manifest = again.inputs[0].split
    assert isinstance(manifest, Manifest)
    assert [output.attempt for output in manifest.outputs] == [0, AGAIN]


def test_a_loss_is_that_of_the_job_that_it_names() -> None:
    """Two jobs may have numbered their shuffles alike."""
    job = make_job(
        source_stage(0, 1, PlannedShuffle(3, 2)),
        source_stage(1, 2, PlannedShuffle(7, 2)),
        reading_stage(2, 1, [(0, 3), (1, 7)]),
    )
    machine = Machine()
    submit(machine, job, left())
    machine.open(3, 2)
    machine.end(map_result(task_id(0, 0), [1, 1]))
    lost = failed(task_id(2, 0), "FetchFailedError", job="before", shuffle=3, maps=(1,))
    assert launched(machine.end(lost)) == [task_id(1, 1, AGAIN)]


def test_a_whole_shuffle_is_offered_when_its_job_ends() -> None:
    machine = Machine()
    machine.submit(shuffle_job(2, 1))
    machine.open(7, 1)
    machine.end(map_result(task_id(0, 0), [1]), map_result(task_id(0, 1), [1]))
    machine.end(value_result(task_id(1, 0)))
    (close,) = closed(machine.feed(JobReleased("j")))
    assert close.outputs is not None
    assert set(close.outputs) == {0, 1}
    assert JobOver("j") in machine.feed(ShuffleClosed("j", 7))


def test_half_a_shuffle_is_not_offered() -> None:
    machine = Machine()
    machine.submit(shuffle_job(2, 1))
    machine.open(7, 1)
    machine.end(map_result(task_id(0, 0), [1]))
    machine.feed(JobCancelled("j", JobCancelledError("enough")))
    (close,) = closed(machine.feed(AttemptStopped(task_id(0, 1))))
    assert close.outputs is None


def test_what_was_lent_is_offered_again_though_nothing_read_it() -> None:
    machine = Machine()
    job = make_job(
        source_stage(0, 2, PlannedShuffle(7, 2)), source_stage(1, 2, PlannedShuffle(8, 1)),
        reading_stage(2, 1, [(0, 7), (1, 8)]),
    )  # fmt: skip
    machine.feed(JobSubmitted(job, left()))
    (close,) = closed(machine.feed(JobReleased("j")))
    assert (close.shuffle, close.outputs) == (7, outputs(2))


def test_a_shuffle_of_which_output_is_missing_is_not_offered_again() -> None:
    machine = Machine()
    submit(machine, shuffle_job(2, 1), left())
    lost = failed(task_id(1, 0), "FetchFailedError", job="before", shuffle=3, maps=(1,))
    machine.end(lost)
    machine.feed(JobReleased("j"))
    (close,) = closed(machine.feed(AttemptStopped(task_id(0, 1, AGAIN))))
    assert close.outputs is None


def one_reader_at_a_time() -> Machine:
    """Two tasks read each partition of shuffle 7, which may have one reader at a time."""
    inputs = [(Input(0, p % 2, ManifestOf(7)),) for p in range(4)]
    stages = shuffle_job(1, 2).stages
    twice = make_job(stages[0], replace(stages[1], inputs=inputs))
    machine = Machine(Policy(rereadable=False))
    machine.submit(twice)
    machine.open(7, 2)
    return machine


def test_tasks_that_read_one_partition_take_turns() -> None:
    machine = one_reader_at_a_time()
    found = machine.end(map_result(task_id(0, 0), [1, 1]))
    assert launched(found) == [task_id(1, 0), task_id(1, 1)]
    assert launched(machine.end(value_result(task_id(1, 0)))) == [task_id(1, 2)]
    assert launched(machine.end(value_result(task_id(1, 2)))) == []
    assert launched(machine.end(value_result(task_id(1, 1)))) == [task_id(1, 3)]


def test_jobs_that_read_one_partition_take_turns() -> None:
    machine = Machine(Policy(rereadable=False))
    assert len(launched(submit(machine, shuffle_job(2, 2, "a"), left()))) == 2
    assert launched(submit(machine, shuffle_job(2, 2, "b"), left())) == []
    ended = machine.end(value_result(task_id(1, 0, job="a")))
    assert launched(ended) == [task_id(1, 0, job="b")]


def test_a_task_that_waits_to_read_is_forgotten_with_its_job() -> None:
    machine = Machine(Policy(rereadable=False))
    submit(machine, shuffle_job(2, 2, "a"), left())
    submit(machine, shuffle_job(2, 2, "b"), left())
    machine.feed(JobReleased("b"))
    assert launched(machine.end(value_result(task_id(1, 0, job="a")))) == []


def test_many_readers_where_the_transport_allows_it() -> None:
    machine = Machine()
    submit(machine, shuffle_job(2, 2, "a"), left())
    assert len(launched(submit(machine, shuffle_job(2, 2, "b"), left()))) == 2


def test_what_an_attempt_of_unknown_fate_may_still_read_is_not_offered() -> None:
    """It would hide the messages of a queue from the jobs to come."""
    for silent in (
        AttemptLost(task_id(1, 0), WorkerLostError("gone")),
        AttemptStopped(task_id(1, 0)),
    ):
        machine = Machine(Policy(rereadable=False, max_attempts=1))
        submit(machine, shuffle_job(2, 1), left())
        machine.feed(JobReleased("j"))
        (close,) = closed(machine.feed(silent))
        assert close.outputs is None


def test_an_attempt_that_said_how_it_ended_reads_no_more() -> None:
    machine = Machine(Policy(rereadable=False))
    submit(machine, shuffle_job(2, 1), left())
    failure = failed(task_id(1, 0), "TaskError")
    (close,) = closed(machine.feed(AttemptEnded(failure)))
    assert close.outputs is not None

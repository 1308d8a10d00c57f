"""Any order of stimuli: the promises are kept, and every job comes to its end."""

from __future__ import annotations

from itertools import product
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, settings

from aflint.scheduler.machine import gist
from aflint.scheduler.messages import (
    AttemptEnded,
    AttemptLost,
    AttemptStopped,
    JobCancelled,
    JobReleased,
    JobSubmitted,
    PartitionsRequested,
    ShuffleClosed,
    ShuffleOpened,
    ShuffleOpenFailed,
    ShufflesRequested,
    SlotsChanged,
    Stimulus,
    Tick,
)
from aflint.scheduler.state import MOVES, JobRun, StageRun, TaskRun, TaskState
from aflint.task import TaskId
from tests.scheduler.builders import Machine, failed, flat_job, handle, task_id, value_result
from tests.scheduler.world import World

TestWorld: Any = World.TestCase
TestWorld.settings = settings(
    max_examples=150,
    stateful_step_count=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

STIMULI: list[Stimulus] = [
    AttemptEnded(value_result(task_id(0, 0))),
    AttemptEnded(failed(task_id(0, 0), "TaskError")),
    AttemptLost(task_id(0, 0), ValueError("boom")),
    AttemptStopped(task_id(0, 0)),
    JobSubmitted(flat_job(3)),
    PartitionsRequested("j", tuple(range(10_000))),
    ShuffleOpened("j", 7, handle(7, 2)),
    ShuffleOpenFailed("j", 7, ValueError("boom")),
    ShuffleClosed("j", 7),
    JobCancelled("j", ValueError("boom")),
    JobReleased("j"),
    ShufflesRequested("j"),
    SlotsChanged(3),
    Tick(),
]


@pytest.mark.parametrize("stimulus", STIMULI, ids=lambda each: type(each).__name__)
def test_what_is_logged_of_a_stimulus_is_small(stimulus: Stimulus) -> None:
    name, *words = gist(stimulus)
    assert name == type(stimulus).__name__
    assert all(isinstance(word, str | int | TaskId | tuple) for word in words)
    assert all(len(word) < 10 for word in words if isinstance(word, tuple))


def test_every_stimulus_is_logged() -> None:
    assert {type(each) for each in STIMULI} == set(get_args(Stimulus))


def test_a_broken_invariant_shows_the_last_stimuli() -> None:
    machine = Machine()
    machine.submit(flat_job(1))
    machine._state.jobs["j"].stages[0].missing = 7
    with pytest.raises(AssertionError, match="knows what it misses") as caught:
        machine.feed(SlotsChanged(3))
    (note,) = caught.value.__notes__
    assert note.splitlines()[1:] == [
        "0.000 JobSubmitted j",
        "0.000 PartitionsRequested j (0,) 1",
        "0.000 SlotsChanged 3",
    ]


def test_the_log_of_stimuli_is_bounded() -> None:
    machine = Machine()
    for slots in range(1000):
        machine.feed(SlotsChanged(slots))
    lines = machine.history().splitlines()
    assert len(lines) == 200
    assert lines[-1] == "0.000 SlotsChanged 999"


@pytest.mark.parametrize(("old", "new"), list(product(TaskState, TaskState)))
def test_a_task_changes_only_as_the_table_allows(old: TaskState, new: TaskState) -> None:
    job = flat_job(1)
    stage = StageRun(job.stages[0], JobRun(job))
    task = stage.tasks[0] = TaskRun(stage, 0, state=old)
    stage.missing = int(not task.accepted)
    if new in MOVES[old]:
        task.move(new)
        assert task.state is new
    else:
        with pytest.raises(AssertionError, match=f"task 0 of stage 0 of job j .*{new.name}"):
            task.move(new)
        assert task.state is old
    assert stage.missing == int(not task.accepted)

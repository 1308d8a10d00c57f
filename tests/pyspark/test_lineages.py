"""Random programs that use their RDDs several times give what a plain in-memory model gives."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from aflint.events import TasksAdded
from aflint.plan.planner import Job, TaskSettings
from aflint.pyspark.tracking import StageProgress, Tracker
from tests.pyspark.conftest import RunProgram
from tests.pyspark.lineages import check


@pytest.mark.parametrize("seed", range(40))
def test_random_lineages(sc: Any, seed: int) -> None:
    check(sc, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40, 340))
def test_more_random_lineages(sc: Any, seed: int) -> None:
    check(sc, seed)


@pytest.mark.slow
def test_random_lineages_on_localcloud(tmp_path: Path, run_program: RunProgram) -> None:
    pytest.importorskip("awslambdaric")
    (tmp_path / "aflint.toml").write_text('backend = "localcloud"\nworkers = 2\n')
    (tmp_path / "program.py").write_text(
        "from pyspark import SparkContext\n"
        "from tests.pyspark.lineages import check\n"
        "sc = SparkContext()\n"
        "for seed in range(30):\n"
        "    check(sc, seed)\n"
        "print('agreed')\n"
    )
    assert run_program("program.py", cwd=tmp_path).stdout == "agreed\n"


def test_a_join_used_in_two_branches_that_meet(sc: Any) -> None:
    a, b = sc.parallelize([(1, 2), (2, 3)], 2), sc.parallelize([(1, 4), (3, 5)], 2)
    joined = a.join(b)
    lengths = joined.mapValues(len)
    assert lengths.join(joined.mapValues(sum)).collect() == [(1, (2, 6))]
    assert lengths.zip(joined.mapValues(sum)).collect() == [((1, 2), (1, 6))]
    assert lengths.subtract(joined.mapValues(sum)).collect() == [(1, 2)]
    assert lengths.intersection(lengths).collect() == [(1, 2)]
    both = lengths.cogroup(lengths).mapValues(lambda sides: [list(side) for side in sides])
    assert both.collect() == [(1, [[2], [2]])]


def test_the_map_sides_of_a_join_are_shown_as_one_stage(sc: Any) -> None:
    a, b = (sc.parallelize([(1, n)], n) for n in (2, 3))
    joined = a.join(b, 4)
    sc.setJobGroup("meeting", "")
    joined.mapValues(len).join(joined.mapValues(sum), 5).collect()
    tracker = sc.statusTracker()
    (job,) = tracker.getJobIdsForGroup("meeting")
    stages = [tracker.getStageInfo(s) for s in tracker.getJobInfo(job).stageIds]
    assert sorted(stage.numTasks for stage in stages) == [5, 5, 8]
    assert all(stage.numCompletedTasks == stage.numTasks for stage in stages)


def test_a_fault_in_the_bookkeeping_ends_no_job(caplog: pytest.LogCaptureFixture) -> None:
    tracker = Tracker()
    broken: Any = None
    with caplog.at_level(logging.CRITICAL), tracker.action():
        tracker.next_stage(broken)
        run = tracker.tracked(lambda job, **options: job.id)
        job = Job("a", "a", broken, TaskSettings())
        started: Any = run(job)
    assert started == "a"


def test_tasks_that_a_stage_gets_later_are_asked_for() -> None:
    tracker = Tracker()
    progress = StageProgress("reduceByKey", 9)
    tracker._jobs["r-1"] = [progress]
    tracker(TasksAdded("r-1", 0, partition=1, tasks=3))
    tracker(TasksAdded("of no action", 0, partition=1, tasks=3))
    assert progress.tasks == 12

"""Event logs read back, why tasks were slow, and `aflint jobs`."""

from __future__ import annotations

import io
import json
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from aflint.cli.jobs import jobs_table
from aflint.cli.main import app
from aflint.driver.report import Reporter
from aflint.errors import EventLogError
from aflint.events import (
    Event,
    JobEnded,
    JobStarted,
    RunEnded,
    RunStarted,
    StageEnded,
    StageInfo,
    StageStarted,
    TaskEnded,
    TasksAdded,
    TaskStarted,
)
from aflint.observe.eventlog import EventLog
from aflint.observe.finding import latest_jobs
from aflint.observe.reading import Job, LogReader, Run, Stage, Task, median_input, why_slow
from aflint.observe.views import activity, histogram, job_view, spans, spent, timeline
from aflint.task import TaskId, TaskMetrics

STAGES = (
    StageInfo(0, "map at words.py:3", 4, writes_shuffle=True),
    StageInfo(1, "collect at words.py:9", 1, (0,)),
)


def written(
    path: Path,
    *,
    run: str = "3f0c9a12",
    fails: bool = True,
    ends: bool = True,
    more: Sequence[Event] = (),
) -> Path:
    """Write the log of a run with a straggler and a failure; return its path."""
    now = [1000.0]
    reporter = Reporter(1769, estimate=True)
    log = EventLog()
    job = f"{run}-1"

    def tell(*events: Event) -> None:
        for event in events:
            reporter(event)
            dollars = reporter.jobs[event.job].cost.total if isinstance(event, JobEnded) else None
            log.take(event, int(now[0] * 1000), dollars)

    tell(RunStarted(run, "words.py", "local", "here", True, 1769, {"workers": "2"}))
    tell(JobStarted(job, "collect at words.py:9", STAGES, "file"), StageStarted(job, 0))
    ids = [TaskId(job, 0, partition, 0) for partition in range(4)]
    tell(*(TaskStarted(id, False, queued=0.5) for id in ids))
    tell(*more)
    for id, seconds, size in zip(ids[:3], (1.0, 1.0, 9.0), (100, 100, 900), strict=True):
        now[0] = 1000.0 + seconds
        metrics = TaskMetrics(seconds=seconds, input_bytes=size, shuffle_write_bytes=size)
        tell(TaskEnded(id, True, "", metrics, "", executor="worker-1"))
    error = "TaskError: ValueError: no (in partition 3 of stage 0)\n\nTraceback: in broken"
    tell(
        TaskEnded(ids[3], False, error if fails else "", TaskMetrics(), "it was 7\n", executor="w")
    )
    if ends:
        tell(StageEnded(job, 0), JobEnded(job, error if fails else ""), RunEnded(run))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(log.text())
    return path


def test_tasks_that_a_stage_gets_later_are_asked_for(tmp_path: Path) -> None:
    added = TasksAdded("3f0c9a12-1", 0, partition=1, tasks=3)
    reader = LogReader(written(tmp_path / "log", more=[added]))
    reader.read()
    assert [stage.asked for stage in reader.run.jobs[0].stages] == [7, 1]


def test_a_log_is_read_as_it_grows_and_half_a_line_when_it_is_whole(tmp_path: Path) -> None:
    whole = written(tmp_path / "log").read_bytes()
    path = tmp_path / "growing.inprogress"
    reader = LogReader(path)
    for end in range(0, len(whole), 997):
        path.write_bytes(whole[:end])
        reader.read()
    path.rename(tmp_path / "growing")
    (tmp_path / "growing").write_bytes(whole)
    assert reader.read()
    assert not reader.read()
    other = LogReader(tmp_path / "log")
    other.read()
    assert reader.run == other.run
    (job,) = reader.run.jobs
    assert (job.id, reader.run.state(job), job.transport) == ("3f0c9a12-1", "failed", "file")
    assert [stage.state for stage in job.stages] == ["done", "waiting"]
    assert [task.status for task in job.stages[0].tasks.values()] == ["done"] * 3 + ["failed"]
    assert job.stages[0].tasks[0].phases["queued"] == 0.5
    assert job.dollars > 0
    assert reader.run.settings["spark.aflint.workers"] == "2"


def test_a_job_is_lost_where_its_driver_was_killed(tmp_path: Path) -> None:
    reader = LogReader(written(tmp_path / "log", ends=False))
    reader.read()
    run, (job,) = reader.run, reader.run.jobs
    assert run.state(job) == "running"
    ended = subprocess.Popen(["true"])
    ended.wait()
    run.driver = (socket.gethostname(), ended.pid)
    assert run.state(job) == "lost"
    run.driver = ("another machine", ended.pid)
    assert run.state(job) == "running"
    run.driver = (socket.gethostname(), 1)
    assert run.state(job) == "running"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"Event":"SparkListenerLogStart","aflint":{"format":2,"version":"9.1"}}\n', "9.1"),
        ("certainly\nno log\n", "is no event log"),
        ('{"Event":"SparkListenerJobEnd","Job ID":7}\n', "a damaged one"),
        ("[1]\n", "is no event log"),
    ],
)
def test_a_log_that_cannot_be_read_says_so(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "log").write_text(text)
    with pytest.raises(EventLogError, match=says):
        LogReader(tmp_path / "log").read()


@pytest.mark.parametrize(
    ("task", "why"),
    [
        ({"read": 500}, "skew: it read 5.0 times the median bytes"),
        ({"records": 40}, "skew: it had 4.0 times the median records"),
        ({"phases": {"fetch": 3.0, "compute": 1.0}}, "waited for shuffled frames 3.00 of 4.00 s"),
        ({"phases": {"cold": 2.0, "compute": 1.0}}, "its environment started for 2.00 of 3.00 s"),
        ({"spilled": 1, "attempt": 1}, "it spilled; it is attempt 2"),
        ({}, "nothing stands out"),
    ],
)
def test_a_slow_task_says_why(task: dict[str, Any], why: str) -> None:
    others = [Task(n, n, 0.0, read=100, records=10) for n in range(5)]
    assert (
        why_slow(Task(9, 9, 0.0, **{"read": 100, "records": 10, **task}), median_input(others))
        == why
    )


def test_ten_thousand_tasks_are_shown_in_little() -> None:
    phases = {"queued": 1.0, "compute": 2.0}
    tasks = {
        n: Task(n, n, 1.0 + n / 100, finished=3.0 + n / 100, status="done", phases=phases)
        for n in range(10_000)
    }
    stage = Stage(0, "map", 10_000, submitted=1.0, completed=104.0)
    for task in tasks.values():
        stage.count(task)
    view = job_view(Run("r"), Job("r-1", "x", [stage], 0.0, completed=105.0), 105.0)
    assert len(json.dumps(view)) < 100_000
    assert sum(view["stages"][0]["histogram"]["counts"]) == 10_000
    assert view["timeline"]["every"] == 34
    # At any time two seconds' tasks run, and those of a second wait.
    middle = [phase[120] for phase in view["activity"]["phases"]]
    assert middle[0] == pytest.approx(100, abs=50)
    assert middle[5] == pytest.approx(200, abs=50)


def test_the_time_of_a_task_is_shown_phase_by_phase_and_to_its_end() -> None:
    task = Task(0, 0, 10.0, finished=14.0, phases={"queued": 2.0, "cold": 1.0, "compute": 2.0})
    assert spans(task, 99.0) == [(0, 8.0, 10.0), (1, 10.0, 11.0), (5, 11.0, 13.0), (5, 13.0, 14.0)]
    running = Task(0, 0, 10.0)
    assert spans(running, 12.0) == [(5, 10.0, 12.0)]
    assert sum(activity([running], 10.0, 12.0)["phases"][5]) == pytest.approx(240)
    assert timeline([], 0.0, 1.0)["lines"] == []
    assert histogram([]) == {"from": 0.0, "step": 0.0, "counts": []}
    assert sum(histogram([1.0, 1.0])["counts"]) == 2


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "aflint" / "history"


def aflint(*command: str, columns: int = 120) -> str:
    done = CliRunner().invoke(app, list(command), env={"COLUMNS": str(columns)})
    return f"{done.exit_code}\n{done.output}"


def test_jobs_lists_what_ran_and_shows_why_one_was_slow(history: Path) -> None:
    assert "No run has left a history yet" in aflint("jobs")
    written(history / "aflint-3f0c9a12")
    written(history / "aflint-aaaa.inprogress", run="aaaa", ends=False)
    listed = aflint("jobs")
    assert "3f0c9a12-1  failed" in listed
    assert "aaaa-1      running" in listed
    assert "collect at words.py:9 in words.py" in listed
    shown = aflint("jobs", "3f0c9a12-1")
    assert shown.startswith("0\n")
    assert "slow: stage 0 partition 2 took 9.00 s: skew: it read 9.0 times the median" in shown
    assert "failed: stage 0 partition 3 on w: TaskError: ValueError: no" in shown
    assert "in broken" in shown
    assert "it printed:\nit was 7" in shown


def test_jobs_as_json_hold_every_task(history: Path) -> None:
    written(history / "aflint-3f0c9a12")
    (listed,) = json.loads(aflint("jobs", "--json").partition("\n")[2])
    assert (listed["job"], listed["state"], listed["program"]) == (
        "3f0c9a12-1",
        "failed",
        "words.py",
    )
    shown = json.loads(aflint("jobs", "3f0c9a12-1", "--json").partition("\n")[2])
    assert len(shown["stages"][0]["tasks"]) == 4


def test_an_unknown_job_and_a_log_of_another_version_are_said(
    history: Path, caplog: pytest.LogCaptureFixture
) -> None:
    written(history / "aflint-3f0c9a12")
    (history / "aflint-new").write_text(
        '{"Event":"SparkListenerLogStart","aflint":{"format":2,"version":"9.1"}}\n'
    )
    unknown = aflint("jobs", "nothing-7")
    assert unknown.startswith("1\n")
    assert "`aflint jobs` lists those there are" in unknown
    assert "3f0c9a12-1" in aflint("jobs")
    assert "aflint 9.1" in caplog.text
    newer = aflint("jobs", "new-1")
    assert newer.startswith("1\n")
    assert "was written by aflint 9.1 in format 2" in newer


def test_several_logs_that_cannot_be_read_are_one_warning_and_an_error_where_there_is_no_other(
    history: Path, caplog: pytest.LogCaptureFixture
) -> None:
    history.mkdir(parents=True, exist_ok=True)
    for name in ("aflint-new", "aflint-newer"):
        (history / name).write_text(
            '{"Event":"SparkListenerLogStart","aflint":{"format":2,"version":"9.1"}}\n'
        )
    for words in (["jobs"], ["jobs", "--json"]):
        said = aflint(*words)
        assert said.startswith("1\n")
        assert said.count("was written by aflint 9.1 in format 2") == 1
    written(history / "aflint-3f0c9a12")
    assert "3f0c9a12-1" in aflint("jobs")
    (warning,) = (r.getMessage() for r in caplog.records if r.name == "aflint.observe")
    assert warning.startswith("2 runs are left out: ")


def test_a_past_job_is_advised_by_its_own_metrics(history: Path) -> None:
    written(history / "aflint-3f0c9a12")
    said = aflint("advise", "3f0c9a12-1")
    assert "memory_mb = 512 in place of 1769" in said  # its tasks did nothing but wait
    assert "concurrency" not in said  # one of them took as long as the job
    found = json.loads(aflint("advise", "3f0c9a12-1", "--json").partition("\n")[2])
    assert (found["now"]["slots"], found["now"]["memory_mb"]) == (2, 1769)
    assert {"setting", "better", "saved_usd", "saved_s", "why"} <= found["advice"][0].keys()
    assert aflint("advise", "nothing-7").startswith("1\n")
    written(history / "aflint-idle", run="idle", ends=False)
    lines = (history / "aflint-idle").read_text().splitlines(keepends=True)
    (history / "aflint-idle").write_text("".join(x for x in lines if "TaskEnd" not in x))
    assert "no task of job idle-1 has ended" in aflint("advise", "idle-1")


def test_what_was_predicted_stands_beside_the_bill(history: Path) -> None:
    path = written(history / "aflint-3f0c9a12")
    before = '"predicted": null' if '"predicted": null' in path.read_text() else '"predicted":null'
    path.write_text(path.read_text().replace(before, '"predicted":[0.00031,8.5]'))
    assert "would cost $0.000319 ($0.00031 and 8.50 s predicted)" in aflint("jobs", "3f0c9a12-1")
    (listed,) = json.loads(aflint("jobs", "--json").partition("\n")[2])
    assert listed["predicted"] == {"dollars": 0.00031, "seconds": 8.5}


def test_jobs_fit_into_forty_columns(history: Path) -> None:
    written(history / "aflint-3f0c9a12")
    text = io.StringIO()
    Console(width=40, file=text, color_system=None).print(jobs_table(latest_jobs(9), 1e9, 40))
    assert max(map(len, text.getvalue().splitlines())) <= 40
    assert "3f0c9a12-1 failed 9.00 s ($0.000319)" in " ".join(text.getvalue().split())


def test_logs_are_what_tasks_printed_each_line_with_its_task(history: Path) -> None:
    written(history / "aflint-3f0c9a12")
    assert aflint("logs", "3f0c9a12-1") == "0\n[stage 0, partition 3] it was 7\n"
    assert aflint("logs", "3f0c9a12-1", "0/3") == "0\n[stage 0, partition 3] it was 7\n"
    assert "task_logs = true" in aflint("logs", "3f0c9a12-1", "2")
    for task, says in (("9", "ran no task 9"), ("1/3", "ran no task 1/3"), ("x", "no task")):
        said = aflint("logs", "3f0c9a12-1", task)
        assert said.startswith("1\n")
        assert says in said
    assert "`aflint jobs` lists" in aflint("logs", "unknown-1")


def test_dollars_grow_as_attempts_end_and_come_to_what_is_billed() -> None:
    tasks = [Task(n, n, 0.0, finished=float(n), dollars=0.5) for n in (1, 2, 4)]
    tasks.append(Task(9, 9, 3.0))  # it runs: nothing is known of it yet
    so_far = spent(tasks, 0.0, 4.0, 1.5, None)
    step = (len(so_far) - 1) / 4
    assert [so_far[int(second * step)] for second in (0, 1, 2, 3, 4)] == [0, 0.5, 1.0, 1.0, 1.5]
    assert so_far == sorted(so_far)
    assert spent(tasks, 0.0, 4.0, 1.5, 1.7)[-1] == 1.7
    many = [Task(n, n, 0.0, finished=n / 1000, dollars=0.001) for n in range(5000)]
    sampled = spent(many, 0.0, 5.0, 5.0, None)
    assert sampled[-1] == 5.0
    assert sampled[120] == pytest.approx(2.5, rel=0.02)
    assert spent([], 0.0, 0.0, 0.0, None)[-1] == 0


def test_what_tasks_printed_is_shown_of_those_that_did_not_fail(tmp_path: Path) -> None:
    stage = Stage(0, "map", 30)
    for index in range(30):
        status: Any = "failed" if index == 0 else "done"
        stage.count(Task(index, index, 0.0, logs=f"line {index}\n" * 1000, status=status))
    view = job_view(Run(), Job("r-1", "j", [stage], 0.0), 1.0)
    (shown,) = view["stages"]
    assert [each["partition"] for each in shown["printed"]] == list(range(1, 11))
    assert shown["printing"] == 29
    assert all(len(each["logs"]) <= 4000 for each in shown["printed"])
    assert view["failures"][0]["logs"].endswith("line 0\n")

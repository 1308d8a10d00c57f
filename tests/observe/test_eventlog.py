"""Event logs and the history: what is in the files, when they are there, and what is in the way."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

import aflint
from aflint.config import Config
from aflint.driver.report import Reporter
from aflint.events import (
    Event,
    JobEnded,
    JobStarted,
    PlanInfo,
    QueryEnded,
    QueryStarted,
    RunEnded,
    RunStarted,
    StageEnded,
    StageInfo,
    StageSkipped,
    StageStarted,
    TaskEnded,
    TaskRecovered,
    TaskStarted,
)
from aflint.observe import rolling
from aflint.observe.bucket import mirror, prune_remote, remote_logs, stamped, within_bound
from aflint.observe.eventlog import EventLog
from aflint.observe.history import history_folder, logs, new_log, prune
from aflint.observe.logfile import LogFile
from aflint.observe.reading import LogReader
from aflint.observe.recording import Recording
from aflint.observe.rolling import RollingLog
from aflint.storage.local import LocalStorage
from aflint.task import TaskId, TaskMetrics

RUN = RunStarted("r", "words.py", "aws", "aflint-1769", False, 1769, {"workers": "2"})
STAGES = (StageInfo(0, "map", 2, writes_shuffle=True), StageInfo(1, "collect", 1, (0,)))


def told(*events: Event) -> list[dict[str, Any]]:
    """Return what a log says of events, a second apart, behind those that begin a run."""
    log = EventLog()
    log.take(RUN, 0)
    log.text()
    for second, event in enumerate(events, 1):
        log.take(event, second * 1000)
    return [json.loads(line) for line in log.text().splitlines()]


def named(events: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [event for event in events if event["Event"] == name]


def test_a_task_is_written_with_its_times_its_bytes_and_its_dollars() -> None:
    id = TaskId("r-1", 0, 1, 0)
    metrics = TaskMetrics(
        seconds=2.0, cpu_seconds=1.5, load_seconds=0.25, fetch_seconds=0.5, billed_seconds=2.5,
        memory_mb=1769, init_seconds=0.4, shuffle_read_bytes=7, sqs_requests=3,
    )  # fmt: skip
    said = told(
        JobStarted("r-1", "collect", STAGES, "hybrid"),
        StageStarted("r-1", 0),
        TaskStarted(id, False, queued=0.75),
        TaskEnded(id, True, "", metrics, 'printed "x"\n', executor="env1"),
    )
    (start,) = named(said, "SparkListenerTaskStart")
    (end,) = named(said, "SparkListenerTaskEnd")
    assert named(said, "aflint.TaskLaunched") == []  # it has ended before anything was written
    for event in (start["Task Info"], end["Task Info"]):
        assert (event["Task ID"], event["Index"], event["Launch Time"]) == (0, 1, 3000)
        assert (event["Executor ID"], event["Speculative"]) == ("env1", False)
    info, spark, ours = end["Task Info"], end["Task Metrics"], end["aflint"]
    assert (info["Launch Time"], info["Finish Time"]) == (3000, 4000)
    assert (info["Executor ID"], info["Host"]) == ("env1", "aflint-1769")
    assert (spark["Executor Deserialize Time"], spark["Executor Run Time"]) == (250, 1750)
    assert spark["Executor CPU Time"] == 1_500_000_000
    assert spark["Shuffle Read Metrics"]["Fetch Wait Time"] == 500
    assert (ours["queued"], ours["cold"], ours["sqs"]) == (0.75, 0.4, 3)
    assert ours["logs"] == 'printed "x"\n'
    assert ours["dollars"] == float(info["Accumulables"][0]["Update"]) > 0
    assert [e["Executor ID"] for e in named(said, "SparkListenerExecutorAdded")] == ["env1"]


def test_tasks_that_run_when_lines_are_taken_are_written_as_launched_once() -> None:
    log = EventLog()
    ids = [TaskId("r-1", 0, partition, 0) for partition in range(3)]
    events: list[Event] = [
        RUN,
        JobStarted("r-1", "collect", STAGES),
        *(TaskStarted(id, False) for id in ids),
        TaskEnded(ids[0], True, "", TaskMetrics(), "", executor="env1"),
        TaskEnded(ids[1], False, "ThrottledError: busy", TaskMetrics(), "", refused=True),
    ]
    for event in events:
        log.take(event, 7)
    first = [json.loads(line) for line in log.text().splitlines()]
    # Of what was throttled, too: it is known by nothing else.
    launched = [each["Index"] for each in named(first, "aflint.TaskLaunched")]
    assert launched == [1, 2]
    assert log.text() == ""
    log.take(TaskEnded(ids[2], True, "", TaskMetrics(), "", executor="env1"), 8)
    assert "aflint.TaskLaunched" not in log.text()


def test_what_did_not_count_says_why_and_what_was_throttled_is_no_task() -> None:
    ids = [TaskId("r-1", 0, 0, attempt) for attempt in range(5)]
    nothing = TaskMetrics()
    ends = [
        TaskEnded(ids[0], False, "TaskError: bad\ntrace", nothing, "", executor="env1"),
        TaskEnded(ids[1], False, "WorkerLostError: gone", nothing, ""),
        TaskEnded(ids[2], False, "ThrottledError: busy", nothing, "", refused=True),
        TaskEnded(ids[3], False, "", nothing, "", continues=True, executor="env1"),
        TaskEnded(ids[4], False, "", nothing, "", executor="env1"),
    ]
    said = told(
        JobStarted("r-1", "collect", STAGES),
        *(TaskStarted(id, False) for id in ids),
        *ends,
        JobEnded("r-1", "TaskError: bad"),
    )
    reasons = [each["Task End Reason"] for each in named(said, "SparkListenerTaskEnd")]
    assert [reason["Reason"] for reason in reasons] == [
        "ExceptionFailure", "ExecutorLostFailure", "TaskKilled", "TaskKilled",
    ]  # fmt: skip
    assert reasons[0]["Full Stack Trace"] == "bad\ntrace"
    assert [r["Kill Reason"] for r in reasons[2:]] == [
        "goes on in its next link", "no longer needed",
    ]  # fmt: skip
    assert len(named(said, "aflint.TaskRefused")) == 1
    assert named(said, "SparkListenerJobEnd")[0]["Job Result"]["Result"] == "JobFailed"


def test_each_stage_that_began_ends_and_one_that_is_skipped_does_not_begin() -> None:
    said = told(
        JobStarted("r-1", "collect", STAGES),
        StageSkipped("r-1", 0),
        StageStarted("r-1", 1),
        JobEnded("r-1", "cancelled"),
        JobStarted("r-2", "count", STAGES),
        TaskRecovered(TaskId("r-2", 0, 0, 0), (TaskMetrics(seconds=1.0),)),
        StageEnded("r-2", 0),  # an earlier driver had run all of it
        JobEnded("r-2", ""),
    )
    submitted = [e["Stage Info"]["Stage ID"] for e in named(said, "SparkListenerStageSubmitted")]
    completed = [e["Stage Info"] for e in named(said, "SparkListenerStageCompleted")]
    # Stages are numbered on over the jobs of a run, as Spark's are.
    assert submitted == [each["Stage ID"] for each in completed] == [1, 2]
    assert [each.get("Failure Reason") for each in completed] == ["cancelled", None]
    assert named(said, "aflint.StageSkipped")[0]["Stage ID"] == 0


def test_a_query_is_written_with_its_plan_and_its_jobs_say_that_they_run_for_it(
    tmp_path: Path,
) -> None:
    scans = PlanInfo("Scan parquet", "FileScan parquet [k#1]"), PlanInfo("Range", "Range (0, 3)")
    plan = PlanInfo("Project", "Project [k#1]", (PlanInfo("Join", "Join Inner", scans),))
    lines = told(
        QueryStarted(0, "SELECT 1", plan),
        JobStarted("r-1", "sql", STAGES, query=0),
        JobEnded("r-1", "it failed"),
        QueryEnded(0, "TaskError: it failed"),
    )
    (start,), (end,) = (
        named(lines, f"org.apache.spark.sql.execution.ui.SparkListenerSQLExecution{each}")
        for each in ("Start", "End")
    )
    assert start["physicalPlanDescription"].splitlines() == [
        "== Physical Plan ==",
        "Project [k#1]",
        "+- Join Inner",
        "   :- FileScan parquet [k#1]",
        "   +- Range (0, 3)",
    ]
    assert start["sparkPlanInfo"]["children"][0]["children"][1]["nodeName"] == "Range"
    assert (end["time"], end["errorMessage"]) == (4000, "TaskError: it failed")
    (job,) = named(lines, "SparkListenerJobStart")
    assert job["Properties"]["spark.sql.execution.id"] == "0"
    # And so it is read back.
    log = tmp_path / "log"
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (reader := LogReader(log)).read()
    query = reader.run.jobs[0].query
    assert query is not None
    assert (query.name, query.error) == ("SELECT 1", "TaskError: it failed")


async def test_a_log_is_in_progress_until_it_is_closed(tmp_path: Path) -> None:
    opened = asyncio.Event()
    loop = asyncio.get_running_loop()
    file = LogFile(tmp_path / "new" / "log", "it", lambda: loop.call_soon_threadsafe(opened.set))
    await file.append("a\n")
    await asyncio.wait_for(opened.wait(), 60)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["log.inprogress"]
    await file.append("b\n")
    await file.finish()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["log"]
    assert (tmp_path / "new" / "log").read_text() == "a\nb\n"


async def test_a_full_disk_is_warned_of_once_and_no_job_fails(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "aflint-full.inprogress").symlink_to("/dev/full")
    file = LogFile(tmp_path / "aflint-full", "the log")
    for _ in range(3):
        await file.append("x" * 100_000 + "\n")
    await file.finish()
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 1
    assert "the log is not written any further" in warnings[0]
    assert "No space left" in warnings[0]


async def test_runs_without_a_home_or_a_folder_to_write_to_go_on_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    log = str(tmp_path / "file" / "below")
    async with aflint.connect(workers=1, progress=False, event_log=log) as session:
        assert await session.range(3).collect() == [0, 1, 2]
    warnings = [r.getMessage() for r in caplog.records if r.name == "aflint.observe"]
    assert len(warnings) == 2
    assert "no home folder" in warnings[0]
    assert "XDG_STATE_HOME" in warnings[0]
    assert "Not a directory" in warnings[1]


async def test_a_run_is_in_the_history_once_it_has_a_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    async with aflint.connect(workers=1, progress=False):
        pass
    assert list(logs(history_folder())) == []
    async with aflint.connect(workers=1, progress=False, history_mb=0) as session:
        await session.range(3).count()
    assert list(logs(history_folder())) == []
    async with aflint.connect(workers=1, progress=False) as session:
        await session.range(3).count()
    (log,) = logs(history_folder())
    events = [json.loads(line)["Event"] for line in log.read_text().splitlines()]
    assert log.name == f"aflint-{session.id}"
    assert events[0] == "SparkListenerLogStart"
    assert events[-1] == "SparkListenerApplicationEnd"


def test_runs_of_one_id_have_logs_of_their_own(tmp_path: Path) -> None:
    history, other = tmp_path / "history", tmp_path / "other"
    assert new_log([], "r") == new_log([history, other], "r") == ("aflint-r", None)
    history.mkdir()
    other.mkdir()
    (history / "aflint-r").touch()
    (other / "aflint-r_2.inprogress").touch()
    assert new_log([history], "r") == ("aflint-r_2", 2)
    assert new_log([history, other], "r") == ("aflint-r_3", 3)


def test_the_oldest_runs_go_first_and_never_one_that_runs(tmp_path: Path) -> None:
    for age, name in enumerate(["new", "old.inprogress", "older", "oldest"]):
        (tmp_path / name).write_bytes(b"x" * 100)
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    prune(tmp_path, 200, now=1000.0)
    assert {path.name for path in tmp_path.iterdir()} == {"new", "old.inprogress"}
    prune(tmp_path, 50, now=1000.0)
    assert {path.name for path in tmp_path.iterdir()} == {"old.inprogress"}


class _Bucket(LocalStorage):
    """Files as in a bucket: by what is behind s3://. Or one that takes none."""

    def __init__(self, folder: Path, *, fails: bool = False) -> None:
        super().__init__()
        self._folder = folder
        self._fails = fails
        self.wrote = asyncio.Event()

    async def write(self, path: str, data: bytes) -> None:
        if self._fails:
            raise aflint.errors.AccessDeniedError("no such bucket")
        await super().write(path.replace("s3:/", str(self._folder)), data)
        if "events_" in path:
            self.wrote.set()

    async def delete(self, path: str) -> None:
        await super().delete(path.replace("s3:/", str(self._folder)))

    def files(self) -> list[str]:
        found = (path for path in self._folder.rglob("*") if path.is_file())
        return sorted(str(path.relative_to(self._folder)) for path in found)


EVENTS = (RUN, JobStarted("r-1", "c", STAGES), JobEnded("r-1", ""), RunEnded("r"))


@pytest.mark.parametrize("fails", [False, True])
async def test_a_log_in_s3_is_a_rolling_one_as_sparks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, fails: bool
) -> None:
    bucket = _Bucket(tmp_path, fails=fails)
    config = Config(event_log="s3://logs/spark/", history_mb=0)
    reporter = Reporter(1769, estimate=False)
    async with AsyncExitStack() as stack:
        (listener,) = await Recording(config, "r", reporter, bucket).listeners(stack)
        for event in EVENTS:
            listener(event)
    if fails:
        (warning,) = (r.getMessage() for r in caplog.records if r.name == "aflint.observe")
        assert "s3://logs/spark/" in warning
        assert "no such bucket" in warning
        assert bucket.files() == []
    else:
        log = "logs/spark/eventlog_v2_aflint-r"
        assert bucket.files() == [f"{log}/appstatus_aflint-r", f"{log}/events_1_aflint-r"]
        lines = (tmp_path / log / "events_1_aflint-r").read_text().splitlines()
        assert "SparkListenerLogStart" in lines[0]
        assert "SparkListenerApplicationEnd" in lines[-1]


async def test_a_rolling_log_has_parts_of_a_size_and_says_that_it_goes_on(tmp_path: Path) -> None:
    bucket = _Bucket(tmp_path)
    log = RollingLog(bucket, "s3://logs", "aflint-r", "it", part_bytes=100)
    await log.append("a" * 60 + "\n")
    assert bucket.files() == []  # in a moment, should no more come
    await log.append("b" * 60 + "\n")
    await asyncio.wait_for(bucket.wrote.wait(), 60)
    folder = "logs/eventlog_v2_aflint-r"
    mark, part = f"{folder}/appstatus_aflint-r", f"{folder}/events_1_aflint-r"
    assert bucket.files() == [f"{mark}.inprogress", part]
    await log.append("c\n")
    await log.finish()
    assert bucket.files() == [mark, part, f"{folder}/events_2_aflint-r"]
    assert (tmp_path / part).read_text() == "a" * 60 + "\n" + "b" * 60 + "\n"
    assert (tmp_path / folder / "events_2_aflint-r").read_text() == "c\n"


async def test_what_waits_for_its_part_is_written_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rolling, "_FIRST_S", 0.0)
    bucket = _Bucket(tmp_path)
    log = RollingLog(bucket, "s3://logs", "aflint-r", "it")
    await log.append("a\n")
    await asyncio.wait_for(bucket.wrote.wait(), 60)
    await log.finish()


async def test_a_rolling_log_is_read_part_by_part_as_it_grows(tmp_path: Path) -> None:
    log = EventLog()
    texts = []
    for event in EVENTS:
        log.take(event, 1000)
        texts.append(log.text().encode())
    folder = tmp_path / "eventlog_v2_aflint-r"
    folder.mkdir()
    assert list(logs(tmp_path)) == [folder]
    reader = LogReader(folder)
    assert not reader.read()
    for number, text in enumerate(texts, 9):  # by number, and not by name: 9, 10, 11
        (folder / f"events_{number}_aflint-r").write_bytes(text)
        assert reader.read()
        assert not reader.read()
    assert reader.run.state(reader.run.jobs[0]) == "done"
    (again := LogReader(folder)).read()
    assert again.run.jobs[0].id == reader.run.jobs[0].id == "r-1"


async def test_the_bucket_keeps_the_latest_runs_and_they_are_brought_here_once(
    tmp_path: Path,
) -> None:
    storage, remote, here = LocalStorage(), str(tmp_path / "remote"), tmp_path / "here"
    for place, run in enumerate("abcd"):
        log = stamped(f"aflint-{run}", place * 100.0)
        out = RollingLog(storage, remote, f"aflint-{run}", "it", log=log)
        await out.append("x" * 99 + "\n")
        await out.finish()
    (here / "aflint-d").parent.mkdir()
    (here / "aflint-d").write_text("x" * 100)  # it ran on this machine
    os.utime(here / "aflint-d", (300.0, 300.0))
    await mirror(storage, remote, here, 300)
    assert [_run_of(path.name) for path in logs(here)] == ["aflint-d", "aflint-c", "aflint-b"]
    brought = next(path for path in logs(here) if path.is_dir())
    assert sorted(path.name for path in brought.iterdir()) == [
        "appstatus_aflint-c", "events_1_aflint-c",
    ]  # fmt: skip
    before = (brought / "events_1_aflint-c").stat().st_ino
    await mirror(storage, remote, here, 300)
    assert (brought / "events_1_aflint-c").stat().st_ino == before
    await prune_remote(storage, remote, 250)
    assert [log.run for log in await remote_logs(storage, remote)] == ["aflint-d", "aflint-c"]
    await prune_remote(storage, remote, 10)
    assert [log.run for log in await remote_logs(storage, remote)] == ["aflint-d"]
    await mirror(storage, str(tmp_path / "none"), here, 300)  # no run has left anything yet
    assert len(list(logs(here))) == 3


def _run_of(name: str) -> str:
    return name.rpartition("_")[2]


def test_logs_of_any_size_are_kept_within_the_bound_but_the_latest() -> None:
    assert within_bound([], 10) == ([], [])
    assert within_bound([(1.0, 5), (3.0, 50), (2.0, 5)], 10) == ([1], [2, 0])
    assert within_bound([(1.0, 5), (3.0, 5), (2.0, 5)], 10) == ([1, 2], [0])

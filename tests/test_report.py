from __future__ import annotations

import pytest

from aflint.driver.report import (
    Reporter,
    format_bytes,
    format_seconds,
    sum_metrics,
    task_usage,
)
from aflint.events import (
    JobEnded,
    JobStarted,
    StageEnded,
    StageInfo,
    StageStarted,
    TaskEnded,
    TaskRecovered,
    TasksAdded,
    TaskStarted,
)
from aflint.task import TaskId, TaskMetrics


def test_a_job_is_summed_over_all_attempts() -> None:
    now = [10.0]
    reporter = Reporter(1769, estimate=True, clock=lambda: now[0])
    reporter(JobStarted("j", "collect", (StageInfo(0, "collect", 2),)))
    for attempt, accepted in ((0, False), (1, True)):
        task = TaskId("j", 0, 0, attempt)
        reporter(TaskStarted(task, False))
        metrics = TaskMetrics(seconds=2.0, peak_memory_bytes=5 + attempt, input_bytes=100)
        reporter(TaskEnded(task, accepted, "" if accepted else "lost", metrics, ""))
    now[0] = 13.5
    reporter(JobEnded("j", ""))
    report = reporter.jobs["j"]
    assert (report.attempts, report.failed_attempts, report.tasks) == (2, 1, 1)
    assert (report.seconds, report.running, report.error) == (3.5, False, "")
    assert report.metrics.seconds == 4.0
    assert report.metrics.peak_memory_bytes == 6
    assert report.metrics.input_bytes == 200
    assert report.cost.total > 0


def test_tasks_that_a_stage_gets_later_are_counted_in() -> None:
    reporter = Reporter(1769, estimate=True)
    reporter(JobStarted("j", "collect", (StageInfo(0, "reduce", 9),)))
    reporter(TasksAdded("j", 0, partition=1, tasks=1))
    reporter(TasksAdded("j", 0, partition=1, tasks=2))
    reporter(TasksAdded("forgotten", 0, partition=1, tasks=2))
    assert reporter.jobs["j"].stage(0).tasks == 12


def test_a_job_prints_as_a_table_of_its_stages() -> None:
    now = [0.0]
    reporter = Reporter(1769, estimate=False, clock=lambda: now[0])
    stages = (StageInfo(0, "map at taxi.py:3", 2), StageInfo(1, "collect at taxi.py:9", 1))
    reporter(JobStarted("s-3", "collect at taxi.py:9", stages))
    report = reporter.jobs["s-3"]
    assert str(report) == (
        "job 3 collect at taxi.py:9: running, 0 of 3 tasks, $0\n"
        "  stage                   tasks  time\n"
        "  0 map at taxi.py:3        0/2\n"
        "  1 collect at taxi.py:9    0/1\n"
        "  cost $0"
    )
    mib = 1 << 20
    read = TaskMetrics(seconds=1.0, input_bytes=3 * mib, shuffle_write_bytes=512)
    reporter(StageStarted("s-3", 0))
    for task, accepted in (((0, 0), False), ((0, 1), True), ((1, 0), True)):
        id = TaskId("s-3", 0, *task)
        reporter(TaskStarted(id, False))
        reporter(TaskEnded(id, accepted, "" if accepted else "lost", read, ""))
    now[0] = 75.0
    reporter(StageEnded("s-3", 0))
    reporter(StageStarted("s-3", 1))
    links = (TaskMetrics(shuffle_read_bytes=1024), TaskMetrics(result_bytes=7))
    reporter(TaskRecovered(TaskId("s-3", 1, 0, 0), links))
    now[0] = 76.5
    reporter(StageEnded("s-3", 1))
    reporter(JobEnded("s-3", ""))
    assert str(report) == (
        "job 3 collect at taxi.py:9: 1 min 16 s, 3 tasks, 1 recovered, 1 retry, 1.5 KB shuffled, "
        "less than $0.0001\n"
        "  stage                   tasks        time  retries  recovered    read  shuffle read"
        "  shuffle written  results\n"
        "  0 map at taxi.py:3        2/2  1 min 15 s        1             9.0 MB              "
        "           1.5 KB\n"
        "  1 collect at taxi.py:9    1/1      1.50 s                   1                1.0 KB"
        "                   7 bytes\n"
        "  cost $0.000087 (Lambda compute $0.0000864, Lambda requests $0.0000006)"
    )
    assert repr(report) == "<JobReport s-3 'collect at taxi.py:9': done, 3 tasks>"


def test_a_failed_job_says_why_in_one_line() -> None:
    reporter = Reporter(1769, estimate=True, clock=lambda: 0.0)
    reporter(JobStarted("s-1", "count", (StageInfo(0, "count", 4),)))
    reporter(JobEnded("s-1", "TaskError: " + "x" * 300 + "\nTraceback"))
    (said,) = [line for line in str(reporter.jobs["s-1"]).splitlines() if "failed" in line]
    assert said.startswith("job 1 count: failed after 0.00 s (TaskError: xxx")
    assert said.endswith("x...), 0 of 4 tasks, would cost $0 on Lambda")
    assert repr(reporter.jobs["s-1"]) == "<JobReport s-1 'count': failed, 0 tasks>"


def test_only_attempts_that_follow_a_failed_one_are_retries() -> None:
    reporter = Reporter(1769, estimate=True, clock=lambda: 0.0)
    reporter(JobStarted("j", "count", (StageInfo(0, "count", 4),)))
    first, again, copy = (TaskId("j", 0, 0, attempt) for attempt in range(3))
    reporter(TaskStarted(first, False))
    reporter(TaskStarted(TaskId("j", 0, 0, 0, link=1), False))
    reporter(TaskStarted(copy, True))
    assert reporter.jobs["j"].retries == 0
    reporter(TaskStarted(again, False))
    assert reporter.jobs["j"].retries == 1
    reporter(TaskEnded(again, False, "ThrottledError", TaskMetrics(), "", refused=True))
    assert reporter.jobs["j"].retries == 0
    reporter(TaskStarted(again, False))
    reporter(TaskStarted(TaskId("j", 0, 0, 1, link=1), False))
    assert reporter.jobs["j"].retries == 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.123, "0.12 s"), (9.994, "9.99 s"), (9.995, "10.0 s"), (59.94, "59.9 s"),
        (59.96, "1 min 0 s"), (3599.4, "59 min 59 s"), (3599.6, "1 h 00 min"), (7530, "2 h 05 min"),
    ],
)  # fmt: skip
def test_durations_in_words(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KB"), (5 << 40, "5.0 TB"),
     (5000 << 40, "5000.0 TB")],
)  # fmt: skip
def test_sizes_in_words(count: int, text: str) -> None:
    assert format_bytes(count) == text


def test_events_of_unknown_jobs_and_old_jobs_are_let_go() -> None:
    reporter = Reporter(1769, estimate=True, clock=lambda: 0.0)
    reporter(TaskStarted(TaskId("?", 0, 0, 0), False))
    reporter(JobEnded("?", ""))
    assert reporter.jobs == {}
    for number in range(1100):
        reporter(JobStarted(f"j{number}", "x", ()))
    assert len(reporter.jobs) == 1000
    assert "j0" not in reporter.jobs
    assert "j1099" in reporter.jobs


@pytest.mark.parametrize("estimate", [True, False])
def test_what_a_local_shuffle_would_cost(estimate: bool) -> None:
    metrics = TaskMetrics(seconds=1.0, shuffle_write_bytes=1 << 20, sqs_requests=3)
    usage = task_usage(metrics, 1769, estimate=estimate)
    assert usage.sqs_requests > 3 if estimate else usage.sqs_requests == 3


def test_frames_that_were_rejected_are_counted_by_reason_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reporter = Reporter(1769, estimate=True)
    reporter(JobStarted("j", "collect", (StageInfo(0, "collect", 3),)))
    for rejected in ({"altered": 1}, {}, {"altered": 1, "of another version": 1}):
        metrics = TaskMetrics(rejected_frames=rejected)
        reporter(TaskEnded(TaskId("j", 0, 0, 0), True, "", metrics, ""))
    assert not caplog.messages
    reporter(JobEnded("j", ""))
    assert reporter.jobs["j"].metrics.rejected_frames == {"altered": 2, "of another version": 1}
    (said,) = caplog.messages
    assert (
        "job j (collect) dropped 3 frames that were not its own: 2 altered, 1 of another version."
    ) in said
    reporter(JobStarted("k", "collect", ()))
    reporter(JobEnded("k", ""))
    assert len(caplog.messages) == 1


def test_peaks_are_not_summed() -> None:
    total = sum_metrics([TaskMetrics(peak_memory_bytes=5), TaskMetrics(peak_memory_bytes=3)])
    assert total.peak_memory_bytes == 5

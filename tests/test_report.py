from __future__ import annotations

import pytest

from aflint.driver.report import Reporter, add_metrics, task_usage
from aflint.events import JobEnded, JobStarted, TaskEnded, TaskStarted
from aflint.task import TaskId, TaskMetrics


def test_a_job_is_summed_over_all_attempts() -> None:
    now = [10.0]
    reporter = Reporter(1769, estimate=True, clock=lambda: now[0])
    reporter(JobStarted("j", "collect", ((0, "collect", 2),)))
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
    reporter(JobStarted("j", "collect", ()))
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
    total = add_metrics(TaskMetrics(peak_memory_bytes=5), TaskMetrics(peak_memory_bytes=3))
    assert total.peak_memory_bytes == 5

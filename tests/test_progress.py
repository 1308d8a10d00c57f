from __future__ import annotations

import io

from rich.console import Console

from aflint.driver.progress import ProgressDisplay
from aflint.driver.task_logs import marked, show_task_logs
from aflint.events import JobEnded, JobStarted, StageStarted, TaskEnded, TaskStarted
from aflint.task import TaskId, TaskMetrics


def test_bars_follow_jobs_and_leave_nothing() -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=100)
    task = TaskId("s-7", 0, 0, 0)
    with ProgressDisplay(console) as display:
        display(JobStarted("s-7", "collect at x.py:1", ((0, "map", 2), (1, "collect", 1))))
        display(StageStarted("s-7", 0))
        display(TaskStarted(task, False))
        display(TaskEnded(task, False, "WorkerLostError: gone", TaskMetrics(), ""))
        display(TaskEnded(task, True, "", TaskMetrics(), ""))
        display(TaskEnded(TaskId("other", 0, 0, 0), True, "", TaskMetrics(), ""))
        display._progress.refresh()
        text = shown.getvalue()
        assert "1/2" in text
        assert "1 failed" in text
        display(JobEnded("s-7", ""))
        assert display._progress.tasks == []
        display(JobStarted("s-8", "again", ((0, "map", 1),)))
        display(JobEnded("s-8", ""))
    assert not display._progress.live.is_started


def test_task_logs_say_where_they_are_from() -> None:
    assert marked(TaskId("j", 1, 2, 0), "a\nb") == (
        "[j stage 1, partition 2] a\n[j stage 1, partition 2] b\n"
    )
    assert marked(TaskId("j", 1, 2, 3), "a\n") == "[j stage 1, partition 2, attempt 3] a\n"
    show_task_logs(JobEnded("j", ""))

from __future__ import annotations

import pytest

from aflint.events import (
    Event,
    JobEnded,
    JobStarted,
    StageEnded,
    StageInfo,
    StageStarted,
    TaskEnded,
    TaskRecovered,
    TaskStarted,
    line_of,
)
from aflint.task import TaskId, TaskMetrics

FIRST, LATER = TaskId("run-3", 1, 7, 0), TaskId("run-3", 1, 7, 1, 2)
DID = TaskMetrics(seconds=0.4121)


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            JobStarted("run-3", "collect", (StageInfo(0, "map", 4), StageInfo(1, "collect", 2))),
            "run-3 starts: collect, 6 tasks in 2 stages",
        ),
        (StageStarted("run-3", 1), "run-3/1 starts"),
        (TaskStarted(FIRST, False), "run-3/1/7/0 starts"),
        (
            TaskStarted(LATER, True, 1769),
            "run-3/1/7/1.2 starts beside another attempt, with 1769 MB",
        ),
        (TaskEnded(FIRST, True, "", DID, ""), "run-3/1/7/0 is accepted after 0.412 s"),
        (TaskEnded(FIRST, False, "E: a\nb", DID, ""), "run-3/1/7/0 is over: E: a"),
        (TaskEnded(FIRST, False, "", DID, ""), "run-3/1/7/0 is over: not needed further"),
        (
            TaskEnded(FIRST, False, "ThrottledError: x", DID, "", refused=True),
            "run-3/1/7/0 is throttled: ThrottledError: x",
        ),
        (TaskRecovered(FIRST, ()), "run-3/1/7/0 was accepted by an earlier driver"),
        (StageEnded("run-3", 1), "run-3/1 ends"),
        (JobEnded("run-3", ""), "run-3 ends"),
        (JobEnded("run-3", "TaskError: a\nb"), "run-3 ends with TaskError: a"),
    ],
)
def test_an_event_is_a_line_that_begins_with_its_ids(event: Event, line: str) -> None:
    assert line_of(event) == line

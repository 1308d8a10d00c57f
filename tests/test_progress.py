from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import pytest
from rich.console import Console

from aflint.driver.progress import (
    PlainLines,
    ProgressDisplay,
    Terminal,
    marked,
    open_progress,
    show_task_logs,
    stage_line,
)
from aflint.driver.report import JobReport, Reporter, StageReport
from aflint.driver.widget import progress_html
from aflint.events import (
    Event,
    JobEnded,
    JobStarted,
    StageEnded,
    StageInfo,
    StageStarted,
    TaskEnded,
    TaskStarted,
)
from aflint.task import TaskId, TaskMetrics


class Scene:
    """Jobs whose events a test makes, at times that it sets."""

    def __init__(self) -> None:
        self.now = 100.0
        self.reporter = Reporter(1769, estimate=True, clock=lambda: self.now)
        self.listeners: list[Any] = [self.reporter]

    def tell(self, *events: Event) -> None:
        for event in events:
            for listener in self.listeners:
                listener(event)

    def job(self, id: str = "s-7", name: str = "collect at taxi.py:12") -> None:
        self.tell(
            JobStarted(id, name, (StageInfo(0, "map at taxi.py:10", 2), StageInfo(1, name, 40)))
        )

    def task(
        self, accepted: bool = True, stage: int = 0, attempt: int = 0, id: str = "s-7"
    ) -> None:
        task = TaskId(id, stage, 0, attempt)
        error = "" if accepted else "WorkerLostError: gone"
        written = TaskMetrics(seconds=1.0, shuffle_write_bytes=1 << 20)
        self.tell(TaskStarted(task, False), TaskEnded(task, accepted, error, written, ""))


class Paper:
    """A screen that remembers what was drawn."""

    width, height, ascii = 40, 6, True

    def __init__(self) -> None:
        self.drawn: list[str] = []
        self.kept: list[str] = []
        self.calls: list[str] = []

    def begin(self) -> None:
        self.calls.append("begin")

    def draw(self, lines: Sequence[str], running: Sequence[JobReport]) -> None:
        self.drawn = list(lines)

    def keep(self, job: JobReport) -> None:
        self.kept += job.closing_lines()

    def end(self) -> None:
        self.calls.append("end")
        self.drawn = []


@pytest.fixture
def scene() -> Scene:
    return Scene()


def shown(stage: StageReport, width: int, *, ascii: bool = True, now: float = 100.0) -> str:
    job = JobReport("s-7", "job", (stage,), 0.0)
    return stage_line(job, stage, now, width, ascii)


@pytest.mark.parametrize("width", [20, 40, 71, 72, 80, 200])
@pytest.mark.parametrize("name", ["map", "reduce_by_key at some_long_program_name.py:1234"])
def test_a_stage_is_one_readable_line_at_any_width(width: int, name: str) -> None:
    stage = StageReport(3, name, 4000, done=1234, retries=2, started=40.0)
    line = shown(stage, width, ascii=False)
    assert len(line) <= width
    assert line.startswith(f"7.3 {name[:2]}")
    told = "1,234/4,000, 2 retried 1:00" + (", 2:14 left" if width in (71, 80, 200) else "")
    assert line.endswith(told if width >= 40 else " 1,234/4,000")
    assert ("\N{BOX DRAWINGS HEAVY HORIZONTAL}" in line) == (width >= 72)


def test_a_wide_line_tells_all_that_went_on() -> None:
    stage = StageReport(
        0, "map", 9, done=3, failed=4, retries=2, running=5, speculated=1, throttled=6, started=40.0
    )
    stage.count(TaskMetrics(input_bytes=3 << 20, shuffle_read_bytes=1 << 20))
    stage.count(TaskMetrics(shuffle_write_bytes=5 << 10))
    told = (
        "3/9, 2 retried, 4 failed, 6 throttled, 1 speculated, 5 running, 4.0 MB in, 5.0 KB out "
        "1:00, 2:00 left"
    )
    assert shown(stage, 180).endswith(told)
    for width in range(20, 180):
        line = shown(stage, width)
        assert len(line) <= width
        assert " 3/9" in line


def test_what_is_left_counts_the_tasks_of_this_driver_alone() -> None:
    stage = StageReport(0, "map", 10, done=6, recovered=4, started=40.0)
    assert stage.left(100.0) == 120.0
    assert StageReport(0, "map", 10, done=4, recovered=4, started=40.0).left(100.0) is None
    assert StageReport(0, "map", 10, done=10, started=40.0).left(100.0) is None
    assert StageReport(0, "map", 10).left(100.0) is None


async def test_attempts_are_counted_by_what_became_of_them(scene: Scene) -> None:
    scene.job()
    stage = scene.reporter.jobs["s-7"].stage(0)
    first, second = TaskId("s-7", 0, 0, 0), TaskId("s-7", 0, 0, 1)
    scene.tell(TaskStarted(first, False), TaskStarted(second, True))
    assert (stage.running, stage.speculated) == (2, 1)
    scene.tell(TaskEnded(second, True, "", TaskMetrics(), ""))
    scene.tell(TaskEnded(first, False, "", TaskMetrics(), ""))  # not needed further
    scene.tell(TaskStarted(first, False), TaskEnded(first, False, "429", TaskMetrics(), "", True))
    assert (stage.running, stage.failed, stage.throttled) == (0, 0, 1)


def test_a_stage_that_waits_shows_no_clock() -> None:
    assert shown(StageReport(0, "map", 5), 40).endswith(" 0/5")
    assert shown(StageReport(0, "map", 5, started=35.0), 40).endswith(" 0/5 1:05")
    assert shown(StageReport(0, "map", 5, started=0.0), 40, now=3725.0).endswith(" 0/5 1:02:05")
    ended = StageReport(0, "map", 5, done=5, started=90.0, ended=93.0)
    assert shown(ended, 40).endswith("5/5 0:03")


def test_a_bar_is_ascii_where_the_terminal_is() -> None:
    line = shown(StageReport(0, "map", 4, done=1, started=99.0), 80)
    assert line.isascii()
    assert "######------------------" in line


async def test_stages_are_drawn_and_each_job_leaves_one_line(scene: Scene) -> None:
    paper = Paper()
    display = ProgressDisplay(paper, scene.reporter)
    scene.listeners.append(display)
    scene.job()
    scene.tell(StageStarted("s-7", 0))
    scene.task(accepted=False)
    scene.task(attempt=1)
    scene.now += 61
    assert display.lines() == [
        "7.0 map at taxi.py.. 1/2, 1 retried 1:01",
        "7.1 collect at taxi.py:12           0/40",
        "would cost $0.0000756 so far",
    ]
    scene.job("s-8", "count")
    assert paper.calls == ["begin"]
    assert len(display.lines()) == 5  # there is no room for the fourth stage
    scene.tell(JobEnded("s-8", "TaskError: it failed\nTraceback ..."))
    assert paper.calls == ["begin"]
    scene.tell(StageEnded("s-7", 0))
    assert display.lines() == [
        "7.1 collect at taxi.py:12           0/40",
        "would cost $0.0000756 so far",
    ]
    scene.tell(JobEnded("s-7", ""))
    assert paper.calls == ["begin", "end"]
    assert paper.kept == [
        "job 8 count: failed after 0.00 s (TaskError: it failed), 0 of 42 tasks, "
        "would cost $0 on Lambda",
        "job 7 collect at taxi.py:12: 1 min 1 s, 1 of 42 tasks, 1 retry, 2.0 MB shuffled, "
        "would cost less than $0.0001 on Lambda",
    ]
    scene.job("s-9")
    display.close()
    assert paper.calls == ["begin", "end"] * 2


async def test_stages_that_run_come_first_where_there_is_little_room(scene: Scene) -> None:
    paper = Paper()
    display = ProgressDisplay(paper, scene.reporter)
    scene.listeners.append(display)
    scene.tell(JobStarted("s-1", "x", tuple(StageInfo(n, f"stage {n}", 1) for n in range(9))))
    scene.tell(StageStarted("s-1", 8))
    lines = display.lines()
    assert [line.split(" ")[0] for line in lines] == ["1.8", "1.0", "1.1", "and", "would"]
    assert lines[-2] == "and 6 more stages"
    display.close()


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
async def test_a_terminal_of_any_encoding_shows_progress(scene: Scene, encoding: str) -> None:
    raw = io.BytesIO()
    console = Console(file=io.TextIOWrapper(raw, encoding), force_terminal=True, width=100)
    display = ProgressDisplay(Terminal(console), scene.reporter)
    scene.listeners.append(display)
    scene.job()
    scene.tell(StageStarted("s-7", 0))
    scene.task()
    display._draw()
    display._draw()
    scene.tell(JobEnded("s-7", ""))
    console.file.flush()
    text = raw.getvalue().decode(encoding)
    assert "7.0 map at taxi.py:10" in text
    assert "job 7 collect at taxi.py:12: 0.00 s, 1 of 42 tasks" in text
    assert text.isascii() == (encoding == "ascii")


def test_a_log_gets_lines_where_they_are_asked_for(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.listeners.append(PlainLines(scene.reporter))
    scene.job()
    scene.tell(StageStarted("s-7", 0))
    scene.task()
    scene.now += 12
    scene.task(accepted=False)
    scene.now += 5
    scene.task(attempt=1)
    scene.tell(StageEnded("s-7", 0), JobEnded("s-7", ""))
    assert capsys.readouterr().err.splitlines() == [
        "job 7 stage 0 map at taxi.py:10: 1/2 tasks in 12.0 s, 1 failed, 2.0 MB out, "
        "about 12.0 s left, $0.0000756 so far",
        "job 7 stage 0 map at taxi.py:10: 2/2 tasks in 17.0 s, 1 retried, 3.0 MB out, "
        "$0.000113 so far",
        "job 7 collect at taxi.py:12: 17.0 s, 2 of 42 tasks, 1 retry, 3.0 MB shuffled, "
        "would cost $0.000113 on Lambda",
    ]


@pytest.mark.parametrize(
    ("terminal", "term", "asked", "kind"),
    [
        (True, "xterm", None, ProgressDisplay),
        (True, "xterm", False, type(None)),
        (True, "dumb", None, type(None)),
        (False, "xterm", None, type(None)),
        (False, "xterm", True, PlainLines),
    ],
)
def test_who_sees_progress(
    terminal: bool,
    term: str,
    asked: bool | None,
    kind: type,
    scene: Scene,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", term)
    assert type(open_progress(scene.reporter, asked)) is kind


async def test_a_notebook_shows_progress_in_the_cell_of_its_job(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs: list[list[str]] = []

    class Handle:
        def __init__(self, content: dict[str, str]) -> None:
            self.texts = [content["text/plain"]]
            outputs.append(self.texts)

        def update(self, content: dict[str, str], *, raw: bool) -> None:
            self.texts.append(content["text/plain"])

    shell = ModuleType("shell")
    shell.kernel = object()  # type: ignore[attr-defined]
    ipython, displays = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: shell  # type: ignore[attr-defined]
    displays.display = lambda content, raw, display_id: Handle(content)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", displays)
    display = open_progress(scene.reporter, None)
    assert isinstance(display, ProgressDisplay)
    scene.listeners.append(display)
    scene.job()
    display._draw()
    scene.tell(JobEnded("s-7", ""))
    scene.job("s-8")
    assert len(outputs) == 2
    first = outputs[0]
    assert first[0] == ""
    assert first[1].startswith("7.0 map at taxi.py:10")
    assert (
        first[-1] == "job 7 collect at taxi.py:12: 0.00 s, 0 of 42 tasks, would cost $0 on Lambda"
    )
    display.close()


def test_a_notebook_has_a_bar_for_each_stage_and_a_line_for_each_job_that_ended(
    scene: Scene,
) -> None:
    scene.job(name="<collect>")
    scene.tell(StageStarted("s-7", 0))
    scene.task(accepted=False)
    scene.task(attempt=1)
    scene.now += 3
    job = scene.reporter.jobs["s-7"]
    shown = progress_html([], [job], scene.now)
    assert "&lt;collect&gt;: 3.00 s, would have cost $0.0000" in shown
    assert 'max="2" value="1" aria-label="map at taxi.py:10: 1 of 2 tasks"' in shown
    assert "1 retried" in shown
    assert "2.0 MB out" in shown
    assert "about 3.00 s left" in shown
    assert shown.count("<progress") == 2
    scene.tell(StageEnded("s-7", 0))
    assert progress_html([], [job], scene.now).count("<progress") == 1
    scene.tell(JobEnded("s-7", "ValueError: <b>"))
    shown = progress_html([job], [], scene.now)
    assert (
        "<details><summary>job 7 &lt;collect&gt;: failed after 3.00 s (ValueError: &lt;b&gt;)"
        in shown
    )
    assert "<progress" not in shown
    assert "<collect>" not in shown


async def test_a_job_that_is_over_at_once_is_not_drawn(scene: Scene) -> None:
    paper = Paper()
    scene.listeners.append(ProgressDisplay(paper, scene.reporter))
    scene.job()
    scene.tell(JobEnded("s-7", ""))
    await asyncio.sleep(0)
    assert paper.drawn == []
    assert len(paper.kept) == 1


def test_task_logs_say_where_they_are_from() -> None:
    assert marked(TaskId("j", 1, 2, 0), "a\nb") == (
        "[j stage 1, partition 2] a\n[j stage 1, partition 2] b\n"
    )
    assert marked(TaskId("j", 1, 2, 3), "a\n") == "[j stage 1, partition 2, attempt 3] a\n"
    show_task_logs(JobEnded("j", ""))

"""What a person sees of running jobs: a line for each stage and ended job, and what tasks print."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from aflint.cost import format_dollars
from aflint.driver.report import (
    JobReport,
    Reporter,
    StageReport,
    format_seconds,
)
from aflint.driver.widget import Notebook
from aflint.events import Event, JobEnded, JobStarted, StageEnded, TaskEnded
from aflint.task import TaskId

if TYPE_CHECKING:  # functions import this module, and have no rich
    from rich.console import Console
    from rich.live import Live

_FIRST_S: Final = 0.3
"""A job that is over sooner is not drawn: its summary says all there is to say."""
_AGAIN_S: Final = 0.25
_SELDOM_S: Final = 10.0
_BAR_FROM_COLUMNS: Final = 72
_BAR: Final = 24
_LEAST_NAME: Final = 8
_NAME: Final = 12
"""Columns that a stage's name keeps when there is more to say of it."""


class Screen(Protocol):
    """Where progress is shown."""

    @property
    def width(self) -> int:
        """How many columns there are now."""
        ...

    @property
    def height(self) -> int:
        """How many lines there are now."""
        ...

    @property
    def ascii(self) -> bool:
        """Whether it shows nothing but ASCII."""
        ...

    def begin(self) -> None:
        """Make ready, in the context of what started a job."""
        ...

    def draw(self, lines: Sequence[str], running: Sequence[JobReport]) -> None:
        """Show these lines, of these jobs, in place of those drawn before."""
        ...

    def keep(self, job: JobReport) -> None:
        """Show a job that is over, to stay above what is drawn."""
        ...

    def end(self) -> None:
        """Take away what is drawn."""
        ...


class ProgressDisplay:
    """A listener that draws the stages that run and leaves one line of each job on the screen.

    Times and counts are those of `reporter`, which is called with each event first.
    """

    def __init__(self, screen: Screen, reporter: Reporter) -> None:
        self._screen = screen
        self._reporter = reporter
        self._running: dict[str, JobReport] = {}
        self._timer: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """Leave the screen to others."""
        self._running.clear()
        self._stop()

    def __call__(self, event: Event) -> None:
        """Take in an event."""
        match event:
            case JobStarted(id):
                self._running[id] = self._reporter.jobs[id]
                if self._timer is None:
                    self._screen.begin()
                    # One timer for all jobs: those that begin meanwhile are drawn with the next
                    # picture.
                    self._draw_in(_FIRST_S)
            case JobEnded(id) if (report := self._running.pop(id, None)) is not None:
                self._screen.keep(report)
                if not self._running:
                    self._stop()

    def _draw_in(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._draw)

    def _draw(self) -> None:
        self._screen.draw(self.lines(), list(self._running.values()))
        self._draw_in(_AGAIN_S)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._screen.end()

    def lines(self) -> list[str]:
        """Return a line for each stage that is not done, as many as there is room for.

        Where there is too little room, running stages come before waiting ones.
        """
        now, room = self._reporter.clock(), max(1, self._screen.height - 3)
        open_stages = [
            (job, stage)
            for job in self._running.values()
            for stage in job.stages
            if not (stage.skipped or stage.over)
        ]
        if len(open_stages) > room:
            # A stable sort: within each of the two kinds the order stays.
            open_stages.sort(key=lambda each: each[1].started is None)
        lines = [
            stage_line(job, stage, now, self._screen.width, self._screen.ascii)
            for job, stage in open_stages[:room]
        ]
        if len(open_stages) > room:
            lines.append(f"and {len(open_stages) - room} more stages")
        if self._running:
            lines.append(self._so_far())
        return lines

    def _so_far(self) -> str:
        """Return what the running jobs have cost until now."""
        jobs = self._running.values()
        dollars = format_dollars(sum(job.cost.total for job in jobs))
        estimated = any(job.estimated for job in jobs)
        return f"{'would cost ' if estimated else ''}{dollars} so far"


class PlainLines:
    """A listener that writes lines for a log: each stage and job that ended, and every ten seconds
    how far a running stage is.
    """

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._written: dict[tuple[str, int], float] = {}

    def close(self) -> None:
        """Nothing is left to do."""

    def __call__(self, event: Event) -> None:
        """Take in an event."""
        match event:
            case StageEnded(id, number) if id in self._reporter.jobs:
                self._written.pop((id, number), None)
                self._write(id, number)
            case TaskEnded(id=task) if task.job in self._reporter.jobs:
                place, now = (task.job, task.stage), self._reporter.clock()
                started = self._reporter.jobs[task.job].stage(task.stage).started
                since = self._written.get(place, now if started is None else started)
                if now - since >= _SELDOM_S:
                    self._written[place] = now
                    self._write(*place)
            case JobEnded(id) if id in self._reporter.jobs:
                self._written = {p: at for p, at in self._written.items() if p[0] != id}
                for line in self._reporter.jobs[id].closing_lines():
                    _write(line)

    def _write(self, job: str, number: int) -> None:
        report = self._reporter.jobs[job]
        stage = report.stage(number)
        seconds = format_seconds(stage.elapsed(self._reporter.clock()) or 0.0)
        done = f"{min(stage.done, stage.tasks):,}/{stage.tasks:,} tasks"
        details = "".join(stage.details())
        if (left := stage.left(self._reporter.clock())) is not None:
            details += f", about {format_seconds(left)} left"
        details += f", {format_dollars(report.cost.total)} so far"
        _write(f"job {_number(report)} stage {number} {stage.name}: {done} in {seconds}{details}")


class Terminal:
    """A screen that can be written over. What others print meanwhile goes above what is drawn."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or _console()
        self._live: Live | None = None

    @property
    def width(self) -> int:
        return self._console.width

    @property
    def height(self) -> int:
        return self._console.height

    @property
    def ascii(self) -> bool:
        return not self._console.encoding.lower().startswith("utf")

    def begin(self) -> None:
        pass

    def end(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def draw(self, lines: Sequence[str], running: Sequence[JobReport]) -> None:
        from rich.live import Live
        from rich.text import Text

        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        self._live.update(Text("\n".join(lines), no_wrap=True, overflow="crop"), refresh=True)

    def keep(self, job: JobReport) -> None:
        for line in job.closing_lines():
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def open_progress(reporter: Reporter, asked: bool | None) -> ProgressDisplay | PlainLines | None:
    """Return what shows progress here: on a terminal and in a notebook, elsewhere where asked for.

    `asked` is the setting `progress`.
    """
    if asked is False:
        return None
    if in_notebook():
        return ProgressDisplay(Notebook(reporter.clock), reporter)
    if sys.stderr.isatty() and not (console := _console()).is_dumb_terminal:
        return ProgressDisplay(Terminal(console), reporter)
    return PlainLines(reporter) if asked else None


def _console() -> Console:
    from rich.console import Console

    return Console(stderr=True)


def in_notebook() -> bool:
    """Say whether this process is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


def stage_line(job: JobReport, stage: StageReport, now: float, width: int, ascii: bool) -> str:
    """Return a stage in one line of at most `width` columns: what it is, how far it is, what went
    wrong, since when it runs and how long it still takes. Pure.

    The times are left out until a task of it runs, and where there are too few columns, the bar,
    and then what matters less.
    """
    counts = f"{min(stage.done, stage.tasks):,}/{stage.tasks:,}"
    seconds, left = stage.elapsed(now), stage.left(now)
    clock = "" if seconds is None else f" {_clock(seconds)}"
    bar = ""
    if width >= _BAR_FROM_COLUMNS:
        full, empty = ("#", "-") if ascii else ("\N{BOX DRAWINGS HEAVY HORIZONTAL}", " ")
        filled = _BAR * min(stage.done, stage.tasks) // max(1, stage.tasks)
        bar = f"{full * filled}{empty * (_BAR - filled)} "
    right = f"{bar}{counts}"
    for detail in stage.details():
        if width - len(right) - len(detail) - len(clock) > _NAME:
            right += detail
    if width - len(right) - len(clock) > _LEAST_NAME:
        right += clock
    if left is not None and width - len(right) > _NAME + len(rest := f", {_clock(left)} left"):
        right += rest
    if bar:
        right = f"{right:<{_BAR + 21}}"
    name = f"{_number(job)}.{stage.id} {stage.name}"
    room = max(_LEAST_NAME, width - len(right) - 1)
    if len(name) > room:
        name = name[: room - 2] + ".."
    return f"{name:<{room}} {right}"[:width].rstrip()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _number(job: JobReport) -> str:
    return job.id.rpartition("-")[2]


def _write(line: str) -> None:
    with suppress(BrokenPipeError):  # the log's reader is gone: the job goes on
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def show_task_logs(event: Event) -> None:
    """Write the output of a task that ended to standard error, each line with where it is from.

    A listener, added where the setting `task_logs` is on. A task's lines come together at its end.
    """
    if isinstance(event, TaskEnded) and event.logs:
        sys.stderr.write(marked(event.id, event.logs))
        sys.stderr.flush()


def marked(task: TaskId, text: str) -> str:
    """Return a text with the task before each of its lines."""
    again = f", attempt {task.attempt}" if task.attempt else ""
    mark = f"[{task.job} stage {task.stage}, partition {task.partition}{again}] "
    return "".join(f"{mark}{line}\n" for line in text.splitlines())

"""Progress in a notebook: bars below the cell that started the jobs, then a line for each job."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from aflint.cost import format_dollars
from aflint.driver.report import JobReport, StageReport, format_seconds
from aflint.html import escape

_BAR: Final = '<progress style="width: 12em" max="{most}" value="{done}" aria-label="{of}">'
_CELL: Final = '<td style="text-align: {side}; white-space: nowrap">{inside}</td>'


class Notebook:
    """The output of the cell that started a job: it is written over until the last job ends.

    Plain HTML, shown by IPython's own display: it needs no widget manager, and a saved notebook
    keeps what was there last.
    """

    width = 100
    height = 40
    ascii = False

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ended: list[JobReport] = []
        self._shown: Any = None

    def begin(self) -> None:
        from IPython.display import display

        self._ended = []
        self._shown = display({"text/plain": ""}, raw=True, display_id=True)

    def draw(self, lines: Sequence[str], running: Sequence[JobReport]) -> None:
        kept = [line for job in self._ended for line in job.closing_lines()]
        markup = progress_html(self._ended, running, self._clock())
        shown = {"text/plain": "\n".join([*kept, *lines]), "text/html": markup}
        self._shown.update(shown, raw=True)

    def keep(self, job: JobReport) -> None:
        self._ended.append(job)

    def end(self) -> None:
        self.draw((), ())


def progress_html(ended: Iterable[JobReport], running: Iterable[JobReport], now: float) -> str:
    """Return jobs as HTML: those that ended in a line that opens to their stages, the others as a
    table with a bar for each stage that is not done. Pure.
    """
    parts = []
    for job in ended:
        first, *rest = map(escape, job.closing_lines())
        after = "".join(f"<br>{line}" for line in rest)
        stages = job._repr_html_()
        parts.append(f"<details><summary>{first}{after}</summary>{stages}</details>")
    parts += [_running(job, now) for job in running]
    return f"<div>{''.join(parts)}</div>"


def _running(job: JobReport, now: float) -> str:
    took, dollars = format_seconds(now - job.started), format_dollars(job.cost.total)
    so_far = f"would have cost {dollars}" if job.estimated else dollars
    head = escape(f"{job.name}: {took}, {so_far} so far")
    rows = "".join(_row(stage, now) for stage in job.stages if not (stage.skipped or stage.over))
    return f"<div>{head}</div><table>{rows}</table>"


def _row(stage: StageReport, now: float) -> str:
    done = min(stage.done, stage.tasks)
    tasks = f"{done:,} of {stage.tasks:,} tasks"
    figures = [tasks, *(each.removeprefix(", ") for each in stage.details())]
    if (seconds := stage.elapsed(now)) is not None:
        figures.append(format_seconds(seconds))
    if (left := stage.left(now)) is not None:
        figures.append(f"about {format_seconds(left)} left")
    name = escape(f"{stage.id} {stage.name}")
    bar = _BAR.format(most=stage.tasks, done=done, of=escape(f"{stage.name}: {tasks}"))
    cells = [
        _CELL.format(side="left", inside=name),
        _CELL.format(side="left", inside=f"{bar}</progress>"),
        *(_CELL.format(side="right", inside=escape(each)) for each in figures),
    ]
    return f"<tr>{''.join(cells)}</tr>"

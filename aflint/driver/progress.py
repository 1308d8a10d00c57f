"""A live display of what runs: one bar for each stage."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from aflint.events import Event, JobEnded, JobStarted, TaskEnded, TaskRecovered


class ProgressDisplay:
    """A listener that draws bars on standard error while jobs run, and leaves nothing of them."""

    def __init__(self, console: Console | None = None) -> None:
        self._progress = Progress(
            TextColumn("[cyan]{task.fields[job]}[/] {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[failures]}", style="yellow"),
            TimeElapsedColumn(),
            console=console or Console(stderr=True),
            transient=True,
        )
        self._bars: dict[tuple[str, int], TaskID] = {}
        self._failures: dict[tuple[str, int], int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        """Take in an event."""
        match event:
            case JobStarted(job, _, stages):
                self._begin(job, stages)
            case TaskEnded(id=task, accepted=accepted, error=error):
                stage = (task.job, task.stage)
                if stage not in self._bars:
                    return
                if accepted:
                    self._progress.advance(self._bars[stage])
                elif error:
                    self._failures[stage] = self._failures.get(stage, 0) + 1
                    note = f"{self._failures[stage]} failed"
                    self._progress.update(self._bars[stage], failures=note)
            case TaskRecovered(id=task):
                self._progress.advance(self._bars[task.job, task.stage])
            case JobEnded(job):
                self._end(job)
            case _:
                pass

    def _begin(self, job: str, stages: tuple[tuple[int, str, int], ...]) -> None:
        if not self._bars:
            self._progress.start()
        for stage, name, tasks in stages:
            bar = self._progress.add_task(
                name, total=tasks, job=job.rpartition("-")[2], failures=""
            )
            self._bars[job, stage] = bar

    def _end(self, job: str) -> None:
        for stage in [stage for stage in self._bars if stage[0] == job]:
            self._progress.remove_task(self._bars.pop(stage))
            self._failures.pop(stage, None)
        if not self._bars:
            self._progress.stop()

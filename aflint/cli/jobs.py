"""`aflint jobs`: the jobs of this user's latest runs, and what one of them did."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from aflint.cli.command import Json, command, console, write_json
from aflint.cli.history import bring_history
from aflint.cli.panels import Panel
from aflint.config import Config

if TYPE_CHECKING:
    from aflint.observe.reading import Job, Run

_SHOWN = 50


_NARROW = 80
"""Columns below which only what matters most is listed."""


def jobs_table(found: list[tuple[Run, Job]], now: float, width: int) -> Table:
    """Return jobs, a row each."""
    from aflint.cost import format_dollars
    from aflint.driver.report import format_predicted, format_seconds

    table = Table(box=None, pad_edge=False, padding=(0, 1))
    columns = ["job", "state", "took", "dollars"]
    if width >= _NARROW:
        columns = ["job", "state", "began", "took", "tasks", "dollars", "predicted", "name"]
        if all(job.predicted is None for _, job in found):
            columns.remove("predicted")
    for column in columns:
        table.add_column(column, no_wrap=column == "job", overflow="fold")
    for run, job in found:
        known = run.dollars(job)
        dollars = "unknown" if known is None else format_dollars(known)
        done, asked = (sum(getattr(s, n) for s in job.stages) for n in ("done", "asked"))
        cells = {
            "job": job.id,
            "state": run.state(job),
            "began": f"{age(now - job.submitted)} ago",
            "took": "" if job.completed is None else format_seconds(job.completed - job.submitted),
            "tasks": f"{done}/{asked}",
            "dollars": f"({dollars})" if run.estimated and known is not None else dollars,
            "predicted": "" if job.predicted is None else format_predicted(job.predicted),
            "name": f"{job.name} in {run.name}",
        }
        table.add_row(*(Text(cells[column]) for column in columns))
    return table


def age(seconds: float) -> str:
    """Return an age in its largest unit."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def show(run: Run, job: Job) -> None:
    """Write one job: its stages, its slowest tasks and its failures."""
    from aflint.cost import format_dollars
    from aflint.driver.report import format_bytes, format_predicted, format_seconds
    from aflint.observe.reading import slowest

    out = console()
    took = "" if job.completed is None else f" in {format_seconds(job.completed - job.submitted)}"
    dollars = run.dollars(job)
    cost = f"{'would cost ' if run.estimated else ''}{format_dollars(dollars or 0.0)}"
    if dollars is None:
        cost = f"dollars unknown (there are no prices for {run.region})"
    if job.predicted is not None:
        cost += f" ({format_predicted(job.predicted)} predicted)"
    out.print(f"job {job.id} {job.name}: {run.state(job)}{took}, {cost}", markup=False)
    out.print(f"run {run.id} of {run.name} on {run.backend}", markup=False)
    table = Table(box=None, pad_edge=False)
    for column in ("stage", "state", "tasks", "failed", "read", "fetched", "shuffled", "dollars"):
        table.add_column(column)
    table.add_column("name")
    for number, stage in enumerate(job.stages):
        sizes = (int(stage.sum(name)) for name in ("read", "fetched", "shuffled"))
        table.add_row(
            str(number), stage.state, f"{stage.done}/{stage.asked}",
            str(len(stage.ended("failed")) or ""), *(format_bytes(s) if s else "" for s in sizes),
            "" if dollars is None else format_dollars(stage.dollars), Text(stage.name),
        )  # fmt: skip
    out.print(table)
    for number, stage in enumerate(job.stages):
        for task, why in slowest(stage):
            took = format_seconds(task.seconds)
            place = f"stage {number} partition {task.index}"
            out.print(f"slow: {place} took {took}: {why}", markup=False)
        for task in stage.ended("failed")[:3]:
            place = f"stage {number} partition {task.index} on {task.executor}"
            out.print(f"failed: {place}: {task.error}", markup=False)
            if task.logs:
                out.print(f"it printed:\n{task.logs}", markup=False)
    if job.error:
        out.print(f"error: {job.error}", markup=False)


def as_dict(run: Run, job: Job, *, whole: bool) -> dict[str, Any]:
    """Return a job as JSON shows it: with its stages' tasks where it is `whole`."""
    stages: list[dict[str, Any]] = [
        {
            "id": stage.id, "name": stage.name, "state": stage.state,
            "done": stage.done, "count": stage.asked,
        }
        for stage in job.stages
    ]  # fmt: skip
    if whole:
        for shown, stage in zip(stages, job.stages, strict=True):
            shown["rdds"], shown["error"] = stage.rdds, stage.error
            tasks = sorted(stage.tasks.values(), key=lambda task: task.id)
            shown["tasks"] = [asdict(task) for task in tasks]
    return {
        "job": job.id, "run": run.id, "program": run.name, "backend": run.backend,
        "name": job.name, "state": run.state(job), "error": job.error, "began": job.submitted,
        "ended": job.completed, "dollars": run.dollars(job), "estimated": run.estimated,
        "predicted": None if job.predicted is None else asdict(job.predicted),
        "stages": stages,
    }  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the sub-command."""

    @command(app, "jobs", Panel.SEE)
    def jobs(
        config: Config,
        job: Annotated[
            str | None,
            typer.Argument(metavar="JOB", help="The job to show.", show_default="list them"),
        ] = None,
        most: Annotated[int, typer.Option("--most", min=1, help="List so many.")] = _SHOWN,
        as_json: Json = False,
    ) -> None:
        """List the jobs of the latest runs, or show what one did and why it took so long."""
        from aflint.observe.finding import find_job, latest_jobs

        bring_history(config)
        if job is not None:
            run, found = find_job(job)
            if as_json:
                write_json(as_dict(run, found, whole=True))
            else:
                show(run, found)
            return
        listed = latest_jobs(most)
        if as_json:
            write_json([as_dict(*each, whole=False) for each in listed])
        elif listed:
            out = console()
            out.print(jobs_table(listed, time.time(), out.width))
            if any(run.estimated for run, _ in listed):
                out.print("Dollars in brackets: what a local run would have cost on Lambda.")
        else:
            typer.echo("No run has left a history yet.")

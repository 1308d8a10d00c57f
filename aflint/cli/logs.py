"""`aflint logs`: what the tasks of a job printed, wherever they ran."""

from __future__ import annotations

from typing import Annotated

import typer

from aflint.cli.command import Json, write_json
from aflint.cli.panels import Panel


def register(app: typer.Typer) -> None:
    """Add the sub-command."""

    @app.command("logs", rich_help_panel=Panel.SEE)
    def logs(
        job: Annotated[str, typer.Argument(metavar="JOB", help="A job of `aflint jobs`.")],
        task: Annotated[
            str | None,
            typer.Argument(
                metavar="[STAGE/]PARTITION", help="Only this task's.", show_default="all of them"
            ),
        ] = None,
        as_json: Json = False,
    ) -> None:
        """Write what the tasks of a job printed and logged, the last 4 KB of each."""
        from aflint.observe.finding import find_job, output_of

        _, found = find_job(job)
        written = output_of(found, task)
        if as_json:
            write_json(written)
            return
        for line in written:
            typer.echo(line)
        if not written:
            typer.echo(
                "Nothing was printed, or it was not kept: run with task_logs = true.", err=True
            )

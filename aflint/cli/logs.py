"""`aflint logs`: what the tasks of a job printed, wherever they ran."""

from __future__ import annotations

from typing import Annotated

import typer

from aflint.cli.command import Json, command, write_json
from aflint.cli.history import bring_history
from aflint.cli.panels import Panel
from aflint.config import Config


def register(app: typer.Typer) -> None:
    """Add the sub-command."""

    @command(app, "logs", Panel.SEE)
    def logs(
        config: Config,
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

        bring_history(config)
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

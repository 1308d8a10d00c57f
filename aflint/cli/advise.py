"""`aflint advise`: which settings would have made a past job cheaper or faster."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from aflint.cli.command import Json, command, write_json
from aflint.cli.history import bring_history
from aflint.cli.panels import Panel
from aflint.config import Config


def register(app: typer.Typer) -> None:
    """Add the sub-command."""

    @command(app, "advise", Panel.SEE)
    def advise(
        config: Config,
        job: Annotated[str, typer.Argument(metavar="JOB", help="A job of `aflint jobs`.")],
        as_json: Json = False,
    ) -> None:
        """Say which settings would have made a job cheaper or faster, by its own metrics."""
        from aflint.driver.advising import advice_for
        from aflint.observe.advising import measured, setup_of
        from aflint.observe.finding import find_job

        bring_history(config)
        run, found = find_job(job)
        setup = setup_of(run, found)
        advice = advice_for(measured(found), setup)
        if as_json:
            shown = [{**asdict(each), "matters": each.matters} for each in advice]
            write_json({"job": found.id, "now": asdict(setup), "advice": shown})
            return
        for each in advice:
            typer.echo(str(each))
        if not advice:
            typer.echo(
                "No other memory size, transport, number of partitions or concurrency is better."
            )

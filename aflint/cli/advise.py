"""`aflint advise`: which settings would have made a past job cheaper or faster."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from aflint.cli.command import Json, write_json
from aflint.cli.panels import Panel


def register(app: typer.Typer) -> None:
    """Add the sub-command."""

    @app.command("advise", rich_help_panel=Panel.SEE)
    def advise(
        job: Annotated[str, typer.Argument(metavar="JOB", help="A job of `aflint jobs`.")],
        as_json: Json = False,
    ) -> None:
        """Say which settings would have made a job cheaper or faster, by its own metrics."""
        from aflint.driver.advising import advice_for
        from aflint.observe.advising import measured, setup_of
        from aflint.observe.finding import find_job

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

"""`aflint resume`: starts the program of a killed driver again, to go on where it was."""

from __future__ import annotations

import os
import shlex
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Column, Table
from rich.text import Text

from aflint.cli.command import Json, command, console, run, write_json
from aflint.cli.panels import Panel
from aflint.config import Config

if TYPE_CHECKING:
    from aflint.journal.resuming import Resumable


def runs_table(found: list[Resumable], now: float) -> Table:
    """Return what there is to resume, a row each."""
    place = Column("place", no_wrap=True, overflow="fold")  # whole, to be copied
    table = Table("run", "age", "jobs", "tasks", "program", place, box=None, pad_edge=False)
    for each in found:
        if each.past is None:
            # What happened, without what to do about it: there is one line for each run.
            problem = str(each.problem).partition(". ")[0]
            table.add_row(each.run, "", "", "", Text(problem), each.place)
            continue
        age = f"{max(0.0, now - each.past.drivers[0].time) / 60:.0f} min"
        command = Text(shlex.join(each.command[1:])[:80])
        jobs = str(len(each.past.jobs))
        table.add_row(each.run, age, jobs, str(each.tasks), command, each.place)
    return table


def as_dict(each: Resumable) -> dict[str, Any]:
    """Return a run as JSON has it."""
    past = each.past
    return {
        "run": each.run,
        "place": each.place,
        "command": list(each.command),
        "started": past.drivers[0].time if past else None,
        "jobs": len(past.jobs) if past else None,
        "tasks": each.tasks,
        "problem": str(each.problem) if each.problem else None,
    }


def register(app: typer.Typer) -> None:
    """Add the sub-command."""

    @command(app, "resume", Panel.RUN)
    def resume(
        config: Config,
        run_id: Annotated[
            str | None,
            typer.Argument(
                metavar="RUN", help="The run, or any job of it.", show_default="list them all"
            ),
        ] = None,
        as_json: Json = False,
    ) -> None:
        """Start the program of a killed driver again; what its tasks had computed is kept."""
        from aflint.journal.resuming import choose, find_resumable, start_again

        found = run(find_resumable(config))
        if run_id is None and as_json:
            write_json([as_dict(each) for each in found])
            return
        if run_id is None:
            console().print(runs_table(found, time.time()) if found else "Nothing to resume.")
            return
        chosen = choose(found, run_id)
        # Standard output is left to the program.
        err = console(stderr=True)
        assert chosen.past is not None
        err.print(
            f"resuming run {chosen.run}: {len(chosen.past.jobs)} jobs had begun, {chosen.tasks} "
            f"tasks are kept; running {shlex.join(chosen.command)}",
            markup=False,
        )
        start_again(chosen, os.environ)
